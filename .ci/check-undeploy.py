"""Says with which lines a stack that will be deleted can come back, and refuses to leave messages behind in a buffer.

usage: check-undeploy.py ENVIRONMENT

Nothing reads a buffer after its function is gone, and SQS deletes what is in it after 7 days. LEAVE_MESSAGES=yes in the
environment says that this is meant. What lies in the two queues of what failed can still be read and redriven.
"""

import os
import sys

from account import ERRORS, Account, outputs, settings

COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")


def count(account, url):
    attributes = account.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=list(COUNTS))["Attributes"]
    return sum(int(attributes.get(name, 0)) for name in COUNTS)


def messages(n):
    return f"about {n} message" + ("" if n == 1 else "s")


def check_buffers(account, of):
    left = []
    for name, url in sorted(of.items()):
        if name.endswith("BufferUrl") and (n := count(account, url)):
            left.append(f"  {name.removesuffix('Url')}: {messages(n)}")
    if left and os.environ.get("LEAVE_MESSAGES") != "yes":
        sys.exit(
            "buffers hold changes that nobody would process any more:\n" + "\n".join(left) + "\npause the relays and wait until "
            "sfrelay status --aws shows none, or give them up with: make undeploy LEAVE_MESSAGES=yes"
        )
    if left:
        print("Given up with the buffers:\n" + "\n".join(left))


def main(environment):
    deploy = settings(environment)
    stack = deploy.get("stack_name", "")
    try:
        account = Account(deploy)
        found = account.stack(stack)
        if not found:
            sys.exit(f"this account has no stack {stack} in this region; nothing to delete")
        of = outputs(found)
        check_buffers(account, of)
        failed = [(of[name], count(account, of[name])) for name in ("FailureQueueUrl", "DeliveryQueueUrl") if name in of]
    except ERRORS as e:
        sys.exit(f"the stack {stack} cannot be asked: {e}; correct profile and region, or the rights")
    print(f"To deploy {stack} again with what it remembers, write into parameter_overrides of [{environment}.deploy.parameters]")
    print("in samconfig.toml, before make deploy:")
    print(f'  "ExistingGuardTable={of.get("GuardTable", "")}",')
    if of.get("FailureBucket"):
        print(f'  "ExistingFailureBucket={of["FailureBucket"]}",')
    print("What failed lies in these queues until it is 14 days old. Without a stack, list and show read them:")
    for url, n in failed:
        print(f"  sfrelay dlq list --aws --queue-url {url} ({messages(n)})")


if __name__ == "__main__":
    main(sys.argv[1])
