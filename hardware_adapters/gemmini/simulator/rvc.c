// The compressed instructions of RV64GC, each expanded to the 32-bit encoding it stands for.
#include "rv64.h"

static uint32_t bits(uint32_t v, int high, int low) { return v >> low & ((1u << (high - low + 1)) - 1); }

static uint32_t i_type(uint32_t imm, uint32_t rs1, uint32_t funct3, uint32_t rd, uint32_t opcode) {
    return (imm & 0xfff) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}
static uint32_t s_type(uint32_t imm, uint32_t rs2, uint32_t rs1, uint32_t funct3, uint32_t opcode) {
    return bits(imm, 11, 5) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | bits(imm, 4, 0) << 7 | opcode;
}
static uint32_t r_type(uint32_t funct7, uint32_t rs2, uint32_t rs1, uint32_t funct3, uint32_t rd, uint32_t opcode) {
    return funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}
static uint32_t b_type(uint32_t imm, uint32_t rs1, uint32_t funct3) {
    return bits(imm, 12, 12) << 31 | bits(imm, 10, 5) << 25 | rs1 << 15 | funct3 << 12 | bits(imm, 4, 1) << 8 |
           bits(imm, 11, 11) << 7 | 0x63;
}
static uint32_t j_type(uint32_t imm, uint32_t rd) {
    return bits(imm, 20, 20) << 31 | bits(imm, 10, 1) << 21 | bits(imm, 11, 11) << 20 | bits(imm, 19, 12) << 12 | rd << 7 | 0x6f;
}
static uint32_t extend(uint32_t value, int width) { return (uint32_t)((int32_t)(value << (32 - width)) >> (32 - width)); }

enum { OP_IMM = 0x13, OP_IMM_32 = 0x1b, OP_REG = 0x33, OP_REG_32 = 0x3b, LOAD = 0x03, STORE = 0x23, LOAD_FP = 0x07, STORE_FP = 0x27 };

static uint32_t quadrant0(uint32_t c) {
    uint32_t rd = bits(c, 4, 2) + 8, rs1 = bits(c, 9, 7) + 8;
    uint32_t word = bits(c, 5, 5) << 6 | bits(c, 12, 10) << 3 | bits(c, 6, 6) << 2;
    uint32_t dword = bits(c, 6, 5) << 6 | bits(c, 12, 10) << 3;
    switch (bits(c, 15, 13)) {
    case 0: { // c.addi4spn
        uint32_t imm = bits(c, 10, 7) << 6 | bits(c, 12, 11) << 4 | bits(c, 5, 5) << 3 | bits(c, 6, 6) << 2;
        return imm ? i_type(imm, 2, 0, rd, OP_IMM) : 0;
    }
    case 1: return i_type(dword, rs1, 3, rd, LOAD_FP);
    case 2: return i_type(word, rs1, 2, rd, LOAD);
    case 3: return i_type(dword, rs1, 3, rd, LOAD);
    case 5: return s_type(dword, rd, rs1, 3, STORE_FP);
    case 6: return s_type(word, rd, rs1, 2, STORE);
    case 7: return s_type(dword, rd, rs1, 3, STORE);
    default: return 0;
    }
}

static uint32_t arithmetic(uint32_t c) { // c.srli, c.srai, c.andi, c.sub ... c.addw
    uint32_t rd = bits(c, 9, 7) + 8, rs2 = bits(c, 4, 2) + 8;
    uint32_t shamt = bits(c, 12, 12) << 5 | bits(c, 6, 2);
    switch (bits(c, 11, 10)) {
    case 0: return i_type(shamt, rd, 5, rd, OP_IMM);
    case 1: return i_type(0x400 | shamt, rd, 5, rd, OP_IMM);
    case 2: return i_type(extend(shamt, 6), rd, 7, rd, OP_IMM);
    default: break;
    }
    uint32_t word = bits(c, 12, 12), which = bits(c, 6, 5);
    if (word) {
        if (which > 1) return 0;
        return r_type(which ? 0 : 0x20, rs2, rd, 0, rd, OP_REG_32);
    }
    static const uint32_t funct3[4] = {0, 4, 6, 7}; // sub, xor, or, and
    return r_type(which ? 0 : 0x20, rs2, rd, funct3[which], rd, OP_REG);
}

static uint32_t quadrant1(uint32_t c) {
    uint32_t rd = bits(c, 11, 7), imm6 = extend(bits(c, 12, 12) << 5 | bits(c, 6, 2), 6);
    switch (bits(c, 15, 13)) {
    case 0: return i_type(imm6, rd, 0, rd, OP_IMM);               // c.addi, c.nop
    case 1: return rd ? i_type(imm6, rd, 0, rd, OP_IMM_32) : 0;   // c.addiw
    case 2: return i_type(imm6, 0, 0, rd, OP_IMM);                // c.li
    case 3:
        if (rd == 2) { // c.addi16sp
            uint32_t imm = bits(c, 12, 12) << 9 | bits(c, 4, 3) << 7 | bits(c, 5, 5) << 6 | bits(c, 2, 2) << 5 | bits(c, 6, 6) << 4;
            return imm ? i_type(extend(imm, 10), 2, 0, 2, OP_IMM) : 0;
        }
        return imm6 ? (imm6 & 0xfffff) << 12 | rd << 7 | 0x37 : 0; // c.lui
    case 4: return arithmetic(c);
    case 5: { // c.j
        uint32_t imm = bits(c, 12, 12) << 11 | bits(c, 8, 8) << 10 | bits(c, 10, 9) << 8 | bits(c, 6, 6) << 7 |
                       bits(c, 7, 7) << 6 | bits(c, 2, 2) << 5 | bits(c, 11, 11) << 4 | bits(c, 5, 3) << 1;
        return j_type(extend(imm, 12), 0);
    }
    default: { // c.beqz, c.bnez
        uint32_t imm = bits(c, 12, 12) << 8 | bits(c, 6, 5) << 6 | bits(c, 2, 2) << 5 | bits(c, 11, 10) << 3 | bits(c, 4, 3) << 1;
        return b_type(extend(imm, 9), bits(c, 9, 7) + 8, bits(c, 13, 13));
    }
    }
}

static uint32_t quadrant2(uint32_t c) {
    uint32_t rd = bits(c, 11, 7), rs2 = bits(c, 6, 2);
    uint32_t load_word = bits(c, 3, 2) << 6 | bits(c, 12, 12) << 5 | bits(c, 6, 4) << 2;
    uint32_t load_dword = bits(c, 4, 2) << 6 | bits(c, 12, 12) << 5 | bits(c, 6, 5) << 3;
    uint32_t store_word = bits(c, 8, 7) << 6 | bits(c, 12, 9) << 2;
    uint32_t store_dword = bits(c, 9, 7) << 6 | bits(c, 12, 10) << 3;
    switch (bits(c, 15, 13)) {
    case 0: return i_type(bits(c, 12, 12) << 5 | rs2, rd, 1, rd, OP_IMM); // c.slli
    case 1: return i_type(load_dword, 2, 3, rd, LOAD_FP);
    case 2: return rd ? i_type(load_word, 2, 2, rd, LOAD) : 0;
    case 3: return rd ? i_type(load_dword, 2, 3, rd, LOAD) : 0;
    case 4:
        if (!bits(c, 12, 12)) {
            if (rs2) return r_type(0, rs2, 0, 0, rd, OP_REG);      // c.mv
            return rd ? i_type(0, rd, 0, 0, 0x67) : 0;             // c.jr
        }
        if (rs2) return r_type(0, rs2, rd, 0, rd, OP_REG);         // c.add
        return rd ? i_type(0, rd, 0, 1, 0x67) : 0x00100073;        // c.jalr, c.ebreak
    case 5: return s_type(store_dword, rs2, 2, 3, STORE_FP);
    case 6: return s_type(store_word, rs2, 2, 2, STORE);
    default: return s_type(store_dword, rs2, 2, 3, STORE);
    }
}

uint32_t rvc_expand(uint16_t c) {
    switch (c & 3) {
    case 0: return quadrant0(c);
    case 1: return quadrant1(c);
    case 2: return quadrant2(c);
    default: return 0;
    }
}
