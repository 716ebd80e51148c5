"""The operator families of this target, and which of them an id belongs to."""

from __future__ import annotations

from ..families import Families, Family
from . import conv, problems, tinympc
from .conv_operator import ConvOperator
from .gemm_operator import GemmOperator
from .operators import TARGET, Operator

FAMILIES: Families[Operator] = Families(
    TARGET,
    {
        problems.FAMILY: Family(GemmOperator.of, problems.PATTERN),
        conv.FAMILY: Family(ConvOperator.of, conv.PATTERN),
        tinympc.FAMILY: Family(tinympc.TinyMpc.of, *tinympc.PATTERNS.values()),
    },
)
operator_of = FAMILIES.operator
nearest = FAMILIES.nearest
