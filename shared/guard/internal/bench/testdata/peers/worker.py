"""A worker for make compare: AWS Lambda Powertools for Python (idempotency).

Every line of standard input is one invocation, every line of standard output its end. As
many run at a time as SLOTS says, each with a persistence layer of its own, as the instances
of a function have.
"""

import json
import os
import resource
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import boto3
import urllib3
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent
from botocore.config import Config

slots = int(os.environ["SLOTS"])
remaining = int(os.environ["TIMEOUT_MS"])
sink = os.environ["SINK"]
client = boto3.client("dynamodb", endpoint_url=os.environ["ENDPOINT"], config=Config(max_pool_connections=64))
pool = urllib3.PoolManager(maxsize=64, retries=False)
answers = threading.Lock()
mine = threading.local()


class Context:
    """What Powertools reads of Lambda's context, and what the driver wants of this invocation."""

    function_name = "peer"

    def __init__(self, job):
        self.job = job

    def get_remaining_time_in_millis(self):
        return remaining


def call(method, path, body, key):
    answer = pool.request(method, sink + path, body=json.dumps(body), headers={"Idempotency-Key": key})
    if answer.status != 200:
        raise RuntimeError(f"the sink answered {answer.status}")


def effect(event, context):
    job = context.job
    if job["effect"] == "none":
        return
    if job["effect"] == "fail":
        raise RuntimeError("the sink is down")
    payload, key = event["detail"]["payload"], event["detail"]["event"]["EventUuid"]
    if job["to"] == "act":
        call("POST", "/act/" + job["case"], {}, key)
    elif job["to"] == "state":
        call("PUT", "/state/" + job["case"], {"Level": payload["Level__c"]}, key)
    else:
        changed = payload["ChangeEventHeader"]["changedFields"]
        call("PATCH", "/fields/" + job["case"], {name: payload[name] for name in changed if name in ("Name", "Phone", "Website")}, key)


def handler():
    if not hasattr(mine, "handler"):
        config = IdempotencyConfig(event_key_jmespath="detail.event.EventUuid", raise_on_no_idempotency_key=True)
        layer = DynamoDBPersistenceLayer(table_name=os.environ["TABLE"], key_attr="pk", boto3_client=client)
        mine.handler = idempotent(effect, config=config, persistence_store=layer)
    return mine.handler


def say(answer):
    with answers:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def run(job):
    try:
        handler()(job["event"], Context(job))
    except Exception as error:
        say({"id": job["id"], "error": f"{type(error).__name__}: {error}"[:300]})
    else:
        say({"id": job["id"]})


with ThreadPoolExecutor(slots) as threads:
    for line in sys.stdin:
        job = json.loads(line)
        if job.get("to") == "clock":
            used = resource.getrusage(resource.RUSAGE_SELF)
            say({"id": job["id"], "cpu": round((used.ru_utime + used.ru_stime) * 1e6)})
        elif slots == 1:
            run(job)
        else:
            threads.submit(run, job)
