"""What an MPI script asks its surroundings, without MPI: who am I, of how many, and which files are mine."""

import os

rank = int(os.environ["OMPI_COMM_WORLD_RANK"])
size = int(os.environ["OMPI_COMM_WORLD_SIZE"])
local = int(os.environ["OMPI_COMM_WORLD_LOCAL_RANK"])
host = os.environ["SM_CURRENT_HOST"]
files = sorted(os.listdir(os.environ["SM_CHANNEL_PARTS"]))
print(f"rank {rank} of {size}, {local} of {host}, {os.environ['GREETING']}: {' '.join(files)}")
