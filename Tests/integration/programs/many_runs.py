"""Makes as many MLflow runs as its argument says, and prints the answers' statuses with how many there were of each."""

import collections
import json
import os
import sys
import urllib.error
import urllib.request

statuses = collections.Counter()
for number in range(int(sys.argv[1])):
    request = urllib.request.Request(
        os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/create",
        json.dumps({"experiment_id": "0", "run_name": f"r{number}"}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ['MLFLOW_TRACKING_TOKEN']}"},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            statuses[answer.status] += 1
    except urllib.error.HTTPError as error:
        statuses[error.code] += 1
print(json.dumps(dict(sorted(statuses.items()))))
