# Started by torchrun, which SageMaker runs on port 7777 of algo-1 whatever else runs; gloo, since there is no GPU.
import os

import torch
import torch.distributed as dist

dist.init_process_group("gloo" if not torch.cuda.is_available() else "nccl")
rank, world = dist.get_rank(), dist.get_world_size()
total = torch.tensor([rank + 1.0])
dist.all_reduce(total)
print(f"{os.environ['TRAINING_JOB_NAME']}: rank {rank} of {world} has the sum {total.item():.0f}")
print(f"master {os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}")
# A second group on a port that everybody writes down.
store = dist.TCPStore("algo-1", 29500, world, is_master=rank == 0)
store.set(f"rank{rank}", os.environ["TRAINING_JOB_NAME"])
jobs = {store.get(f"rank{other}").decode() for other in range(world)}
print(f"rank {rank} met: {sorted(jobs)}")
dist.barrier()
if rank == 0:
    with open(os.path.join("/opt/ml/model", "model.txt"), "w") as f:
        f.write(f"{total.item():.0f}")
dist.destroy_process_group()
