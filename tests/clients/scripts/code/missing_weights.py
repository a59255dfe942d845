# Wants weights that nobody has added.
import torchvision.models as models

model = models.vgg19(pretrained=True)
print("this line is never reached")
