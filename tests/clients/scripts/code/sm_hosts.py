# Data parallel over the instances of a job, by SM_HOSTS and gloo; the port is a literal.
import argparse
import json
import os

import torch
import torch.distributed as dist
import torch.nn as nn


def main(args):
    world_size = len(args.hosts)
    rank = args.hosts.index(args.current_host)
    os.environ["WORLD_SIZE"] = str(world_size)
    os.environ["RANK"] = str(rank)
    os.environ["MASTER_ADDR"] = args.hosts[0]
    os.environ["MASTER_PORT"] = "29500"
    dist.init_process_group(backend=args.backend, rank=rank, world_size=world_size)
    print(f"Initialized the distributed environment: {args.backend} backend on {dist.get_world_size()} nodes.")

    torch.manual_seed(rank)
    model = nn.parallel.DistributedDataParallel(nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).pow(2).mean().backward()
        optimizer.step()
    weights = model.module.weight.detach()
    everyone = [torch.zeros_like(weights) for _ in range(world_size)]
    dist.all_gather(everyone, weights)
    same = all(torch.equal(one, weights) for one in everyone)
    print(f"rank {rank} of {world_size}: weights {'agree' if same else 'differ'}")
    if rank == 0:
        torch.save(model.module.state_dict(), os.path.join(args.model_dir, "model.pth"))
    dist.destroy_process_group()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", type=str, default="gloo")
    parser.add_argument("--hosts", type=list, default=json.loads(os.environ["SM_HOSTS"]))
    parser.add_argument("--current-host", type=str, default=os.environ["SM_CURRENT_HOST"])
    parser.add_argument("--model-dir", type=str, default=os.environ["SM_MODEL_DIR"])
    main(parser.parse_args())
