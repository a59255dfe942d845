"""The permissions of a run: what is too wide, the least that its calls need, and the proof that this is enough"""
