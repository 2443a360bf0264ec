"""A program that logs with trackio's own client and is told of the server by its environment alone."""

import trackio

trackio.init(project="any", config={"lr": 0.1, "model": {"layers": 2}})
for step in range(20):
    trackio.log({"train/loss": 1 / (step + 1), "nested": {"deep": float(step)}, "odd": float("nan")}, step=step)
trackio.alert("loss is high", text="it was 1.0 at step 0", level=trackio.AlertLevel.WARN)
trackio.finish()
