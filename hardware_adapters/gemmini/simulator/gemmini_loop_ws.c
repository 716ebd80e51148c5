#include "gemmini_state.h"
void loop_matmul(Gemmini *g, uint64_t rs1, uint64_t rs2) { (void)g, (void)rs1, (void)rs2; fault_raise("unsupported_command", "loop_ws is not modelled"); }
