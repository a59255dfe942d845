"""The check of a user's own training script: what would mislead its tuning, waste its instances or lose its model"""

from sagehound.pipeline.script_check.check import check_script
from sagehound.pipeline.script_check.warning import ScriptWarning

__all__ = ["ScriptWarning", "check_script"]
