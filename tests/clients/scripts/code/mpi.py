# Started by mpirun: rank and size from Open MPI's variables, on every host as many processes as were asked for.
import os

import torch
import torch.distributed as dist

rank = int(os.environ["OMPI_COMM_WORLD_RANK"])
size = int(os.environ["OMPI_COMM_WORLD_SIZE"])
local_rank = int(os.environ["OMPI_COMM_WORLD_LOCAL_RANK"])
dist.init_process_group("gloo", init_method="tcp://algo-1:55555", rank=rank, world_size=size)
numbers = torch.tensor([float(rank)])
dist.all_reduce(numbers)
print(f"rank {rank} of {size}, {local_rank} on {os.environ['SM_CURRENT_HOST']}: sum {numbers.item():.0f}")
print(f"option {os.environ['DOGS']}")
if rank == 0:
    torch.save({"sum": numbers}, os.path.join(os.environ["SM_MODEL_DIR"], "model.pth"))
dist.destroy_process_group()
