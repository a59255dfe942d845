"""Programs on the PATH of an instance; copied onto its disk at each boot, none imports anything of ours."""
