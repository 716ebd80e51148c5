#include "gemmini_state.h"
void loop_conv(Gemmini *g, uint64_t rs1, uint64_t rs2) { (void)g, (void)rs1, (void)rs2; fault_raise("unsupported_command", "loop_conv_ws is not modelled"); }
