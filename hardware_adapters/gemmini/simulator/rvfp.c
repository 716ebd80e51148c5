// The F and D extensions on the register file: NaN boxing, rounding modes, flags.
#include "rv64.h"
#include "softfloat.h"

// A float32 in a 64-bit register has all upper bits set; anything else reads as the canonical NaN.
static uint64_t unbox(uint64_t v) { return v >> 32 == 0xffffffffu ? v & 0xffffffffu : float_nan(float32_format); }
static uint64_t box(uint64_t v) { return v | 0xffffffff00000000ull; }

static int is_double(unsigned op) {
    switch (op) {
    case OP_FMADD_D: case OP_FMSUB_D: case OP_FNMSUB_D: case OP_FNMADD_D: case OP_FADD_D: case OP_FSUB_D: case OP_FMUL_D: case OP_FDIV_D:
    case OP_FSQRT_D: case OP_FSGNJ_D: case OP_FSGNJN_D: case OP_FSGNJX_D: case OP_FMIN_D: case OP_FMAX_D: case OP_FEQ_D: case OP_FLT_D:
    case OP_FLE_D: case OP_FCLASS_D: case OP_FCVT_S_D: case OP_FCVT_W_D: case OP_FCVT_WU_D: case OP_FCVT_L_D: case OP_FCVT_LU_D:
    case OP_FCVT_D_W: case OP_FCVT_D_WU: case OP_FCVT_D_L: case OP_FCVT_D_LU: return 1;
    default: return 0;
    }
}

// Operations that ignore the rounding-mode field (their funct3 selects the operation).
static int never_rounds(unsigned op) {
    switch (op) {
    case OP_FSGNJ_S: case OP_FSGNJN_S: case OP_FSGNJX_S: case OP_FMIN_S: case OP_FMAX_S: case OP_FEQ_S: case OP_FLT_S: case OP_FLE_S:
    case OP_FCLASS_S: case OP_FMV_X_W: case OP_FMV_W_X: case OP_FSGNJ_D: case OP_FSGNJN_D: case OP_FSGNJX_D: case OP_FMIN_D: case OP_FMAX_D:
    case OP_FEQ_D: case OP_FLT_D: case OP_FLE_D: case OP_FCLASS_D: case OP_FMV_X_D: case OP_FMV_D_X: return 1;
    default: return 0;
    }
}

static uint64_t from_signed(FloatFormat f, int64_t v, int rm, unsigned *flags) {
    return float_from_int(f, v < 0, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, rm, flags);
}

int fp_execute(Hart *h, const Insn *in) {
    int rm = in->rm == 7 ? (int)h->frm : in->rm;
    if (!never_rounds(in->op) && rm > ROUND_NEAREST_AWAY) return 0;
    int wide = is_double(in->op);
    FloatFormat f = wide ? float64_format : float32_format;
    uint64_t sign = float_sign_bit(f);
    uint64_t raw = h->reg[in->rs1];
    uint64_t a = wide ? raw : unbox(raw);
    uint64_t b = wide ? h->reg[in->rs2] : unbox(h->reg[in->rs2]);
    uint64_t c = wide ? h->reg[in->rs3] : unbox(h->reg[in->rs3]);
    unsigned flags = 0;
    uint64_t r = 0;
    int result_is_float = 1;
    switch (in->op) {
    case OP_FADD_S: case OP_FADD_D: r = float_add(f, a, b, rm, &flags); break;
    case OP_FSUB_S: case OP_FSUB_D: r = float_add(f, a, b ^ sign, rm, &flags); break;
    case OP_FMUL_S: case OP_FMUL_D: r = float_mul(f, a, b, rm, &flags); break;
    case OP_FDIV_S: case OP_FDIV_D: r = float_div(f, a, b, rm, &flags); break;
    case OP_FSQRT_S: case OP_FSQRT_D: r = float_sqrt(f, a, rm, &flags); break;
    case OP_FMADD_S: case OP_FMADD_D: r = float_fma(f, a, b, c, rm, &flags); break;
    case OP_FMSUB_S: case OP_FMSUB_D: r = float_fma(f, a, b, c ^ sign, rm, &flags); break;
    case OP_FNMSUB_S: case OP_FNMSUB_D: r = float_fma(f, a ^ sign, b, c, rm, &flags); break;
    case OP_FNMADD_S: case OP_FNMADD_D: r = float_fma(f, a ^ sign, b, c ^ sign, rm, &flags); break;
    case OP_FSGNJ_S: case OP_FSGNJ_D: r = (a & ~sign) | (b & sign); break;
    case OP_FSGNJN_S: case OP_FSGNJN_D: r = (a & ~sign) | (~b & sign); break;
    case OP_FSGNJX_S: case OP_FSGNJX_D: r = a ^ (b & sign); break;
    case OP_FMIN_S: case OP_FMIN_D: r = float_min_max(f, a, b, 0, &flags); break;
    case OP_FMAX_S: case OP_FMAX_D: r = float_min_max(f, a, b, 1, &flags); break;
    case OP_FCVT_S_D: f = float32_format; r = float_convert(float64_format, f, a, rm, &flags); break;
    case OP_FCVT_D_S: f = float64_format; r = float_convert(float32_format, f, a, rm, &flags); break;
    case OP_FCVT_S_W: case OP_FCVT_D_W: r = from_signed(f, (int32_t)raw, rm, &flags); break;
    case OP_FCVT_S_WU: case OP_FCVT_D_WU: r = float_from_int(f, 0, (uint32_t)raw, rm, &flags); break;
    case OP_FCVT_S_L: case OP_FCVT_D_L: r = from_signed(f, (int64_t)raw, rm, &flags); break;
    case OP_FCVT_S_LU: case OP_FCVT_D_LU: r = float_from_int(f, 0, raw, rm, &flags); break;
    case OP_FMV_W_X: r = raw & 0xffffffffu; break;
    case OP_FMV_D_X: f = float64_format; r = raw; break;
    default: result_is_float = 0; break;
    }
    if (!result_is_float) switch (in->op) {
    case OP_FEQ_S: case OP_FEQ_D: r = (uint64_t)float_equal(f, a, b, &flags); break;
    case OP_FLT_S: case OP_FLT_D: r = (uint64_t)float_less(f, a, b, 0, &flags); break;
    case OP_FLE_S: case OP_FLE_D: r = (uint64_t)float_less(f, a, b, 1, &flags); break;
    case OP_FCLASS_S: case OP_FCLASS_D: r = float_class(f, a); break;
    case OP_FMV_X_W: r = (uint64_t)(int64_t)(int32_t)raw; break;
    case OP_FMV_X_D: r = raw; break;
    case OP_FCVT_W_S: case OP_FCVT_W_D: r = float_to_int(f, a, 32, 1, rm, &flags); break;
    case OP_FCVT_WU_S: case OP_FCVT_WU_D: r = float_to_int(f, a, 32, 0, rm, &flags); break;
    case OP_FCVT_L_S: case OP_FCVT_L_D: r = float_to_int(f, a, 64, 1, rm, &flags); break;
    case OP_FCVT_LU_S: case OP_FCVT_LU_D: r = float_to_int(f, a, 64, 0, rm, &flags); break;
    default: return 0;
    }
    h->fflags |= flags;
    h->reg[in->rd] = result_is_float && f.fraction_bits == float32_format.fraction_bits ? box(r) : r;
    return 1;
}
