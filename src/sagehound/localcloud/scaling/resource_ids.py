"""How the resources are named that Application Auto Scaling scales, with the parts as their metrics call them."""

from __future__ import annotations

import re

VARIANT = re.compile(
    r"endpoint/(?P<EndpointName>[a-zA-Z0-9][a-zA-Z0-9-]{0,62})/variant/(?P<VariantName>[a-zA-Z0-9-]{1,63})"
)
FUNCTION = re.compile(r"function:(?P<FunctionName>[a-zA-Z0-9_-]{1,64}):(?P<Qualifier>[a-zA-Z0-9_-]{1,128})")
"""A version or an alias; $LATEST is none."""
