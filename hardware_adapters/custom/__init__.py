"""Problems that a user brings along: an operator of his own, with a reference to check kernels by."""
