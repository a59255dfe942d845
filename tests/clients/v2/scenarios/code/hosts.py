"""Says which host it is and leaves a file of its own in the model: what a script that knows nothing of others does."""

import json
import os

host = os.environ["SM_CURRENT_HOST"]
hosts = json.loads(os.environ["SM_HOSTS"])
print(f"host {host} of {len(hosts)}: {','.join(sorted(hosts))}")
with open("/opt/ml/input/config/resourceconfig.json") as file:
    assert json.load(file)["current_host"] == host
with open("/opt/ml/input/config/debughookconfig.json") as file:
    collections = [one["CollectionName"] for one in json.load(file)["CollectionConfigurations"]]
print(f"{host} hook collections: {','.join(sorted(collections))}")
print(f"{host} Testing Loss: {int(host.removeprefix('algo-')) / 10}")
with open(os.path.join(os.environ["SM_MODEL_DIR"], f"{host}.txt"), "w") as file:
    file.write(host)
