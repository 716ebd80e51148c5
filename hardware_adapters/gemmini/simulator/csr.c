// Control and status registers: the machine- and user-mode ones that bare-metal programs use.
#include "rv64.h"

enum {
    CSR_FFLAGS = 0x001, CSR_FRM = 0x002, CSR_FCSR = 0x003, CSR_MSTATUS = 0x300, CSR_MISA = 0x301, CSR_MEDELEG = 0x302,
    CSR_MIDELEG = 0x303, CSR_MIE = 0x304, CSR_MTVEC = 0x305, CSR_MCOUNTEREN = 0x306, CSR_MCOUNTINHIBIT = 0x320, CSR_MSCRATCH = 0x340,
    CSR_MEPC = 0x341, CSR_MCAUSE = 0x342, CSR_MTVAL = 0x343, CSR_MIP = 0x344, CSR_PMPCFG0 = 0x3a0, CSR_PMPADDR0 = 0x3b0,
    CSR_MCYCLE = 0xb00, CSR_MINSTRET = 0xb02, CSR_MHPMCOUNTER3 = 0xb03, CSR_MHPMEVENT3 = 0x323, CSR_CYCLE = 0xc00, CSR_TIME = 0xc01,
    CSR_INSTRET = 0xc02, CSR_MVENDORID = 0xf11, CSR_MCONFIGPTR = 0xf15
};

static const uint64_t MISA = 2ull << 62 | 1 << ('I' - 'A') | 1 << ('M' - 'A') | 1 << 0 | 1 << ('F' - 'A') | 1 << ('D' - 'A') |
                             1 << ('C' - 'A') | 1 << ('U' - 'A') | 1 << ('X' - 'A');
// FS, XS, MIE, MPIE, MPP, MPRV are kept; SD reads as set when FS or XS is dirty.
static const uint64_t MSTATUS_WRITABLE = 0x21888 | 0x6000 | 0x18000;

static uint64_t read_mstatus(const Hart *h) {
    int dirty = (h->mstatus >> 13 & 3) == 3 || (h->mstatus >> 15 & 3) == 3;
    return h->mstatus | (uint64_t)dirty << 63 | 2ull << 32; // UXL = 64
}

int csr_read(Hart *h, unsigned csr, uint64_t *value) {
    if ((int)(csr >> 8 & 3) > h->privilege) return 0;
    *value = 0;
    switch (csr) {
    case CSR_FFLAGS: *value = h->fflags; break;
    case CSR_FRM: *value = h->frm; break;
    case CSR_FCSR: *value = h->frm << 5 | h->fflags; break;
    case CSR_MSTATUS: *value = read_mstatus(h); break;
    case CSR_MISA: *value = MISA; break;
    case CSR_MEDELEG: *value = h->medeleg; break;
    case CSR_MIDELEG: *value = h->mideleg; break;
    case CSR_MIE: *value = h->mie; break;
    case CSR_MTVEC: *value = h->mtvec; break;
    case CSR_MCOUNTEREN: *value = h->mcounteren; break;
    case CSR_MCOUNTINHIBIT: *value = h->mcountinhibit; break;
    case CSR_MSCRATCH: *value = h->mscratch; break;
    case CSR_MEPC: *value = h->mepc; break;
    case CSR_MCAUSE: *value = h->mcause; break;
    case CSR_MTVAL: *value = h->mtval; break;
    case CSR_MIP: *value = h->mip; break;
    case CSR_MCYCLE: case CSR_CYCLE: case CSR_TIME: *value = hart_cycle(h) + h->cycle_offset; break;
    case CSR_MINSTRET: case CSR_INSTRET: *value = h->instret + h->instret_offset; break;
    default:
        if (csr >= CSR_PMPADDR0 && csr < CSR_PMPADDR0 + 16) *value = h->pmpaddr[csr - CSR_PMPADDR0];
        else if (csr == CSR_PMPCFG0 || csr == CSR_PMPCFG0 + 2) *value = h->pmpcfg[csr - CSR_PMPCFG0];
        else if (csr >= CSR_MHPMCOUNTER3 && csr < CSR_MHPMCOUNTER3 + 29) break;
        else if (csr >= CSR_MHPMEVENT3 && csr < CSR_MHPMEVENT3 + 29) break;
        else if (csr >= CSR_MVENDORID && csr <= CSR_MCONFIGPTR) break; // ids, mhartid 0
        else return 0;
    }
    return 1;
}

int csr_write(Hart *h, unsigned csr, uint64_t v) {
    if ((int)(csr >> 8 & 3) > h->privilege || csr >> 10 == 3) return 0; // read-only ones have both top bits set
    switch (csr) {
    case CSR_FFLAGS: h->fflags = v & 31; break;
    case CSR_FRM: h->frm = v & 7; break;
    case CSR_FCSR: h->fflags = v & 31, h->frm = v >> 5 & 7; break;
    case CSR_MSTATUS: {
        h->mstatus = v & MSTATUS_WRITABLE;
        if ((h->mstatus >> 11 & 3) != 3) h->mstatus &= ~0x1800ull; // only M and U exist
        break;
    }
    case CSR_MISA: break;
    case CSR_MEDELEG: h->medeleg = 0; break; // no supervisor mode to delegate to
    case CSR_MIDELEG: h->mideleg = 0; break;
    case CSR_MIE: h->mie = v; break;
    case CSR_MTVEC: h->mtvec = v & ~2ull; break;
    case CSR_MCOUNTEREN: h->mcounteren = v & 7; break;
    case CSR_MCOUNTINHIBIT: h->mcountinhibit = v & 5; break;
    case CSR_MSCRATCH: h->mscratch = v; break;
    case CSR_MEPC: h->mepc = v & ~1ull; break;
    case CSR_MCAUSE: h->mcause = v; break;
    case CSR_MTVAL: h->mtval = v; break;
    case CSR_MIP: h->mip = v; break;
    case CSR_MCYCLE: h->cycle_offset = v - hart_cycle(h); break;
    case CSR_MINSTRET: h->instret_offset = v - h->instret; break;
    default:
        if (csr >= CSR_PMPADDR0 && csr < CSR_PMPADDR0 + 16) h->pmpaddr[csr - CSR_PMPADDR0] = v & ((1ull << 54) - 1);
        else if (csr == CSR_PMPCFG0 || csr == CSR_PMPCFG0 + 2) h->pmpcfg[csr - CSR_PMPCFG0] = v;
        else if (csr >= CSR_MHPMCOUNTER3 && csr < CSR_MHPMCOUNTER3 + 29) break;
        else if (csr >= CSR_MHPMEVENT3 && csr < CSR_MHPMEVENT3 + 29) break;
        else return 0;
    }
    return 1;
}

int csr_execute(Hart *h, const Insn *in) {
    unsigned csr = (unsigned)in->imm;
    int immediate = in->op == OP_CSRRWI || in->op == OP_CSRRSI || in->op == OP_CSRRCI;
    int write = in->op == OP_CSRRW || in->op == OP_CSRRWI;
    uint64_t operand = immediate ? in->rm : h->reg[in->rs1], old = 0;
    int sets = write || (immediate ? in->rm : in->rs1) != 0;
    if (!(write && in->rd == DISCARD) && !csr_read(h, csr, &old)) return 0;
    if (sets) {
        uint64_t value = operand;
        if (in->op == OP_CSRRS || in->op == OP_CSRRSI) value = old | operand;
        if (in->op == OP_CSRRC || in->op == OP_CSRRCI) value = old & ~operand;
        if (!csr_write(h, csr, value)) return 0;
        if (h->rocket) h->rocket->now += ROCKET_SYSTEM_FLUSH;
    }
    h->reg[in->rd] = old;
    return 1;
}
