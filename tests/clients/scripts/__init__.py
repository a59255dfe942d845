"""Scripts as people write them, each through the SDK, with everything wrong that is usually wrong with them."""
