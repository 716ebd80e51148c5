// Decoder and disassembler, both driven by the table in rv64_ops.h.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rv64.h"

typedef struct Entry {
    const char *mnemonic, *operands;
    uint32_t mask, match;
    uint16_t op;
    uint8_t latency;
} Entry;

static const Entry table[] = {
#define RV_OP(op, text, args, mask, match, latency) {text, args, mask, match, OP_##op, latency},
#include "rv64_ops.h"
#undef RV_OP
};

static const Entry *lookup(uint32_t raw) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if ((raw & table[i].mask) == table[i].match) return &table[i];
    return NULL;
}

static int32_t sign_extend(uint32_t value, int bits) { return (int32_t)(value << (32 - bits)) >> (32 - bits); }
static int32_t imm_i(uint32_t r) { return sign_extend(r >> 20, 12); }
static int32_t imm_s(uint32_t r) { return sign_extend((r >> 25 << 5) | (r >> 7 & 31), 12); }
static int32_t imm_b(uint32_t r) {
    return sign_extend((r >> 31 << 12) | (r >> 7 & 1) << 11 | (r >> 25 & 63) << 5 | (r >> 8 & 15) << 1, 13);
}
static int32_t imm_j(uint32_t r) {
    return sign_extend((r >> 31 << 20) | (r >> 12 & 255) << 12 | (r >> 20 & 1) << 11 | (r >> 21 & 1023) << 1, 21);
}

Insn rv_decode(uint32_t raw) {
    Insn in = {.op = OP_ILLEGAL, .rd = DISCARD, .slots = 2, .latency = 1, .rm = raw >> 12 & 7};
    const Entry *e = lookup(raw);
    if (!e) return in;
    in.op = e->op;
    in.latency = e->latency;
    uint8_t rd = raw >> 7 & 31, rs1 = raw >> 15 & 31, rs2 = raw >> 20 & 31;
    for (const char *p = e->operands; *p; p++) {
        switch (*p) {
        case 'd': in.rd = rd ? rd : DISCARD; break;
        case 's': case 'A': in.rs1 = rs1; break;
        case 't': in.rs2 = rs2; break;
        case 'D': in.rd = FP_BASE + rd; break;
        case 'S': in.rs1 = FP_BASE + rs1; break;
        case 'T': in.rs2 = FP_BASE + rs2; break;
        case 'R': in.rs3 = (uint8_t)(FP_BASE + (raw >> 27)); break;
        case 'j': in.imm = imm_i(raw); break;
        case 'o': in.imm = imm_i(raw); in.rs1 = rs1; break;
        case 'q': in.imm = imm_s(raw); in.rs1 = rs1; break;
        case 'p': in.imm = imm_b(raw); break;
        case 'a': in.imm = imm_j(raw); break;
        case 'u': in.imm = (int32_t)(raw & 0xfffff000u); break;
        case '>': in.imm = (int32_t)(raw >> 20 & 63); break;
        case '<': in.imm = rs2; break;
        case 'E': in.imm = (int32_t)(raw >> 20); break;
        case 'Z': in.rm = rs1; break; // the value itself
        default: break;
        }
    }
    if (in.op == OP_ROCC || in.op == OP_ROCC_RD) in.imm = (int32_t)(raw >> 25);
    return in;
}

static const char *const integer_name[32] = {
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5",
    "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};

void rv_text(uint32_t raw, uint64_t pc, char *text, size_t n) {
    const Entry *e = lookup(raw);
    if (!e) {
        snprintf(text, n, "0x%08" PRIx32, raw);
        return;
    }
    size_t at = (size_t)snprintf(text, n, "%s", e->mnemonic);
    const char *separator = " ";
    for (const char *p = e->operands; *p && at < n; p++) {
        char piece[40] = "";
        switch (*p) {
        case 'd': snprintf(piece, sizeof piece, "%s", integer_name[raw >> 7 & 31]); break;
        case 's': snprintf(piece, sizeof piece, "%s", integer_name[raw >> 15 & 31]); break;
        case 't': snprintf(piece, sizeof piece, "%s", integer_name[raw >> 20 & 31]); break;
        case 'A': snprintf(piece, sizeof piece, "(%s)", integer_name[raw >> 15 & 31]); break;
        case 'D': snprintf(piece, sizeof piece, "f%u", raw >> 7 & 31); break;
        case 'S': snprintf(piece, sizeof piece, "f%u", raw >> 15 & 31); break;
        case 'T': snprintf(piece, sizeof piece, "f%u", raw >> 20 & 31); break;
        case 'R': snprintf(piece, sizeof piece, "f%u", raw >> 27); break;
        case 'j': snprintf(piece, sizeof piece, "%d", imm_i(raw)); break;
        case 'o': snprintf(piece, sizeof piece, "%d(%s)", imm_i(raw), integer_name[raw >> 15 & 31]); break;
        case 'q': snprintf(piece, sizeof piece, "%d(%s)", imm_s(raw), integer_name[raw >> 15 & 31]); break;
        case 'p': snprintf(piece, sizeof piece, "0x%" PRIx64, pc + (uint64_t)(int64_t)imm_b(raw)); break;
        case 'a': snprintf(piece, sizeof piece, "0x%" PRIx64, pc + (uint64_t)(int64_t)imm_j(raw)); break;
        case 'u': snprintf(piece, sizeof piece, "0x%x", raw >> 12); break;
        case '>': snprintf(piece, sizeof piece, "%u", raw >> 20 & 63); break;
        case '<': snprintf(piece, sizeof piece, "%u", raw >> 20 & 31); break;
        case 'E': snprintf(piece, sizeof piece, "0x%x", raw >> 20); break;
        case 'Z': snprintf(piece, sizeof piece, "%u", raw >> 15 & 31); break;
        default: continue;
        }
        at += (size_t)snprintf(text + at, n - at, "%s%s", separator, piece);
        separator = ", ";
    }
}
