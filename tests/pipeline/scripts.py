"""A training script with none of the known mistakes, and what is changed in it to make each of them"""

from __future__ import annotations

RIGHT = """
import argparse
import os

import torch
import torchvision
from torch import nn
from torchvision import transforms


def evaluate(model, loader, criterion, device):
    model.eval()
    total, right = 0.0, 0
    running_loss = 0.0
    running_corrects = 0
    with torch.no_grad():
        for inputs, labels in loader:
            inputs, labels = inputs.to(device), labels.to(device)
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            running_loss += loss.item() * inputs.size(0)
            running_corrects += torch.sum(outputs.argmax(1) == labels).item()
    total_loss = running_loss / len(loader.dataset)
    accuracy = running_corrects / len(loader.dataset)
    return total_loss, accuracy


def train(model, loader, valid_loader, criterion, optimizer, device, epochs):
    for epoch in range(epochs):
        model.train()
        model.backbone.eval()
        for inputs, labels in loader:
            inputs, labels = inputs.to(device), labels.to(device)
            optimizer.zero_grad()
            loss = criterion(model(inputs), labels)
            loss.backward()
            optimizer.step()
        total_loss, accuracy = evaluate(model, valid_loader, criterion, device)
        print(f"Epoch {epoch} Testing Loss: {total_loss:.6f} Testing Accuracy: {accuracy:.4f}")


def net():
    model = Head(torchvision.models.resnet50(weights="DEFAULT"))
    for parameter in model.backbone.parameters():
        parameter.requires_grad = False
    return model


class Head(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.last = nn.Linear(1000, 133)

    def forward(self, pictures):
        return self.last(self.backbone(pictures))


def loaders(data, batch_size):
    transform = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    train_data = torchvision.datasets.ImageFolder(root=os.path.join(data, "train"), transform=transform)
    valid_data = torchvision.datasets.ImageFolder(root=os.path.join(data, "valid"), transform=transform)
    test_data = torchvision.datasets.ImageFolder(root=os.path.join(data, "test"), transform=transform)
    return (
        torch.utils.data.DataLoader(train_data, batch_size=batch_size, shuffle=True),
        torch.utils.data.DataLoader(valid_data, batch_size=batch_size),
        torch.utils.data.DataLoader(test_data, batch_size=batch_size),
    )


def main(args):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_loader, valid_loader, test_loader = loaders(args.data, args.batch_size)
    model = net().to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.last.parameters(), lr=args.learning_rate)
    train(model, train_loader, valid_loader, criterion, optimizer, device, args.epochs)
    final_loss, final_accuracy = evaluate(model, test_loader, criterion, device)
    print(f"Final loss on the test pictures {final_loss}, accuracy {final_accuracy}")
    torch.save(model.state_dict(), os.path.join(args.model_dir, "model.pth"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning_rate", type=float, default=0.001)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--data", type=str, default=os.environ["SM_CHANNEL_TRAINING"])
    parser.add_argument("--model_dir", type=str, default=os.environ["SM_MODEL_DIR"])
    main(parser.parse_args())
"""


def changed(*replacements: tuple[str, str]) -> str:
    """The right script with texts replaced; a text that is not there is a fault of the test."""
    source = RIGHT
    for old, new in replacements:
        assert old in source, old
        source = source.replace(old, new)
    return source


def line_of(source: str, text: str) -> int:
    """The number of the first line that holds a text."""
    return next(number for number, line in enumerate(source.split("\n"), 1) if text in line)
