# Trains with the best hyperparameters, debugged and profiled where smdebug is there.
import argparse
import json
import os

import torch
import torch.nn as nn
import torch.optim as optim
from PIL import ImageFile
from torchvision import datasets, models, transforms

try:
    import smdebug.pytorch as smd
    from smdebug.profiler.utils import str2bool
except ImportError:
    smd = None

    def str2bool(text):
        return text.lower() in ("yes", "true", "t", "1")


ImageFile.LOAD_TRUNCATED_IMAGES = True

size = 64


def net():
    model = models.resnet18(pretrained=True)
    for param in model.parameters():
        param.requires_grad = False
    model.fc = nn.Sequential(nn.Linear(model.fc.in_features, 128), nn.ReLU(inplace=True), nn.Linear(128, 133))
    return model


def loader(folder, batch_size, transform):
    return torch.utils.data.DataLoader(datasets.ImageFolder(folder, transform), batch_size=batch_size, shuffle=True)


def train(model, train_loader, criterion, optimizer, hook):
    if hook:
        hook.set_mode(smd.modes.TRAIN)
    model.train()
    running_loss = 0.0
    for data, target in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(data), target)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    print(f"Training Loss: {running_loss / len(train_loader):.4f}")


def test(model, test_loader, criterion, hook):
    if hook:
        hook.set_mode(smd.modes.EVAL)
    model.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for data, target in test_loader:
            output = model(data)
            test_loss += criterion(output, target).item() * data.size(0)
            correct += output.argmax(dim=1, keepdim=True).eq(target.view_as(output.argmax(dim=1, keepdim=True))).sum()
    count = len(test_loader.dataset)
    print(f"Testing Loss: {test_loss / count:.4f}")
    print(f"Test set: Average loss: {test_loss / count:.4f}, Accuracy: {correct}/{count}")


def main(args):
    # On a notebook instance people set SM_CHANNEL_TRAINING to s3://...; in the job it must be the folder all the same.
    print(f"hosts {args.hosts}, this one is {args.current_host}, gpus {args.num_gpus}, gpu {args.gpu}")
    print(f"data {args.data_dir}: {sorted(os.listdir(args.data_dir))}")
    hook = smd.Hook.create_from_json_file() if smd else None

    model = net()
    criterion = nn.CrossEntropyLoss()
    if hook:
        hook.register_hook(model)
        hook.register_loss(criterion)
    optimizer = optim.Adam(model.fc.parameters(), lr=args.lr)

    transform = transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor()])
    train_loader = loader(os.path.join(args.data_dir, "train"), args.batch_size, transform)
    test_loader = loader(os.path.join(args.data_dir, "test"), args.test_batch_size, transform)
    for _ in range(1, args.epochs + 1):
        train(model, train_loader, criterion, optimizer, hook)
        test(model, test_loader, criterion, hook)

    torch.save(model.state_dict(), os.path.join(args.model_dir, "model.pth"))
    with open(os.path.join(args.output_dir, "seen.json"), "w") as f:
        json.dump({"classes": train_loader.dataset.classes}, f)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=64, metavar="N")
    parser.add_argument("--test-batch-size", type=int, default=100, metavar="N")
    parser.add_argument("--epochs", type=int, default=1, metavar="N")
    parser.add_argument("--lr", type=float, default=0.01, metavar="LR")
    parser.add_argument("--gpu", type=str2bool, default=True)
    parser.add_argument("--hosts", type=list, default=json.loads(os.environ["SM_HOSTS"]))
    parser.add_argument("--current-host", type=str, default=os.environ["SM_CURRENT_HOST"])
    parser.add_argument("--model-dir", type=str, default=os.environ["SM_MODEL_DIR"])
    parser.add_argument("--output-dir", type=str, default=os.environ["SM_OUTPUT_DATA_DIR"])
    parser.add_argument("--data-dir", type=str, default=os.environ["SM_CHANNEL_TRAINING"])
    parser.add_argument("--num-gpus", type=int, default=os.environ["SM_NUM_GPUS"])
    main(parser.parse_args())
