"""AWS's own software, where the user has it: the device through the Neuron SDK, and AWS's functional simulator."""
