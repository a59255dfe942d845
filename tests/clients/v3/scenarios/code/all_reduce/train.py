"""Every process of a torchrun gives its number to all others; the first keeps the port until it is told to go on."""

import json
import os
import pathlib
import socket

import boto3
import torch
import torch.distributed

torch.distributed.init_process_group("gloo")
rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
total = torch.tensor([rank + 1.0])
torch.distributed.all_reduce(total)
print(f"rank {rank} of {size} on {os.environ['SM_CURRENT_HOST']}: the sum is {total.item()}")
if rank == 0:
    sums = {"sum": total.item(), "size": size, "port": os.environ["MASTER_PORT"]}
    sums["algo-2"] = socket.gethostbyname("algo-2")
    pathlib.Path(os.environ["SM_MODEL_DIR"], "sum.json").write_text(json.dumps(sums))
    s3, bucket, prefix = boto3.client("s3"), os.environ["MEETING_BUCKET"], os.environ["MEETING_PREFIX"]
    s3.put_object(Bucket=bucket, Key=f"{prefix}/ready/{os.environ['TRAINING_JOB_NAME']}")
    s3.get_waiter("object_exists").wait(
        Bucket=bucket, Key=f"{prefix}/go", WaiterConfig={"Delay": 1, "MaxAttempts": 240}
    )
torch.distributed.barrier()
torch.distributed.destroy_process_group()
