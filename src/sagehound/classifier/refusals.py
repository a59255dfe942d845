"""What a job refuses to go on with: errors whose text is for a person, told as one sentence without a traceback."""


class JobRefused(Exception):
    """The job's input, or a value of it, is at fault; the text says what and the way out."""
