#include "machine.h"

int machine_new(Machine *m, const Config *config) {
    m->memory = memory_new();
    m->l2 = l2_new(config);
    m->gemmini = m->memory && m->l2 ? gemmini_new(config, m->memory, m->l2) : NULL;
    m->rocket = m->l2 ? rocket_new(m->l2) : NULL;
    m->hart = m->gemmini && m->rocket ? hart_new(m->memory, m->gemmini, m->rocket) : NULL;
    return m->hart != NULL;
}

void machine_free(Machine *m) { // the rest lives as long as the process
    hart_free(m->hart);
    rocket_free(m->rocket);
    memory_free(m->memory);
    m->hart = NULL;
    m->rocket = NULL;
    m->memory = NULL;
}

void machine_reset(Machine *m, int timed) {
    l2_reset(m->l2);
    gemmini_reset(m->gemmini, timed);
    rocket_reset(m->rocket);
    m->hart->rocket = timed ? m->rocket : NULL;
    hart_reset(m->hart);
}
