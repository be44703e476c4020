# Runs ministack behind a door. It does not check signatures of its root, and takes as root the configured access key, "test",
# every account id and a request without any; its admin paths ask for nothing. Here the access key is the secret: a request says
# the one of this stack, or that of a session of a role, which the emulator checks further. Browsers are not let in at all.
import asyncio, hmac, json, os, re, secrets, sys, urllib.error, urllib.request
from http.server import BaseHTTPRequestHandler

os.umask(0o077)

from ministack import app as emulator
from ministack.core import iam_actions, lambda_runtime
from ministack.services import lambda_svc, sts

ROOT = os.environ["AWS_ACCESS_KEY_ID"].encode()
HOST = (os.environ["BIND_HOST"] + ":" + os.environ["GATEWAY_PORT"]).encode()
LOCALHOST = ("localhost:" + os.environ["GATEWAY_PORT"]).encode()  # what containers of sam local invoke call it
STORE_DELAY = float(os.environ.pop("STORE_DELAY", "0"))  # seconds before every call of DynamoDB
STATE = os.environ.pop("STACK_STATE", "")  # file that says where the sandbox of the org is
SIGNED = re.compile(rb"AWS4-HMAC-SHA256 Credential=([A-Za-z0-9]+)/")


def refusal(scope):
    headers = scope["headers"]
    values = lambda name: [v for n, v in headers if n.lower() == name]
    if values(b"host") not in ([HOST], [LOCALHOST]):
        return "the host of the request is not the stack's"
    if values(b"origin"):
        return "the request comes from a browser"
    if scope["method"] == "GET" and scope["path"] == "/_ministack/health":
        return ""
    authorization = values(b"authorization")
    signed = SIGNED.match(authorization[0]) if len(authorization) == 1 else None
    if not signed:
        return "the request is not signed"
    if not hmac.compare_digest(signed[1], ROOT) and signed[1].decode() not in sts._sessions:
        return "the access key is not of this stack"
    return ""


async def door(scope, receive, send, inside=emulator.app):
    if scope["type"] == "lifespan":
        return await inside(scope, receive, send)
    if scope["type"] != "http":
        return await send({"type": "websocket.close", "code": 1008})
    if not (why := refusal(scope)):
        if STORE_DELAY and any(n.lower() == b"x-amz-target" and v.startswith(b"DynamoDB_") for n, v in scope["headers"]):
            await asyncio.sleep(STORE_DELAY)
        operation = next((v.decode() for n, v in scope["headers"] if n.lower() == b"x-amz-target"), "").partition("AWSEvents.")[2]
        if operation in PARTNER:
            return await partner(operation, scope, receive, send, inside)
        return await inside(scope, receive, send)
    await reply(send, 403, json.dumps({"__type": "AccessDeniedException", "message": why}).encode(), [(b"connection", b"close")])


async def reply(send, status, body, more=()):
    kind = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": kind})
    await send({"type": "http.response.body", "body": body})


# Partner event sources the emulator does not know: it lists none and calls each active. They are asked of the sandbox of the org,
# which plays them. Buses, rules and targets are the emulator's, and so are permissions: it is asked each of these, too.
PARTNER = ("ListEventSources", "DescribeEventSource", "ActivateEventSource", "DeactivateEventSource", "CreateEventBus", "DeleteEventBus")


async def partner(operation, scope, receive, send, inside):
    body, more = b"", True
    while more:
        part = await receive()
        body, more = body + part.get("body", b""), part.get("more_body", False)
    org = lambda operation: asyncio.to_thread(ask_org, operation, body)
    try:
        asked = json.loads(body or b"{}")
        name, source = asked.get("Name"), asked.get("EventSourceName")
    except (ValueError, AttributeError):
        name = source = None
    if operation == "CreateEventBus" and source:
        status, answer = await org(operation)
        if status == 200:
            made, refused = await emulated(scope, body, inside)
            if made != 200 and b"ResourceAlreadyExistsException" not in refused:  # else the partner had deleted its source
                await org("DeleteEventBus")
                status, answer = made, refused
    else:
        status, answer = await emulated(scope, body, inside)
        if status == 200 and operation != "CreateEventBus":
            mine = operation == "DeleteEventBus" and not str(name).startswith("aws.partner/")
            status, answer = (status, answer) if mine else await org(operation)
    await reply(send, status, answer)


async def emulated(scope, body, inside):
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    await inside(scope, receive, send)
    return sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:])


def ask_org(operation, body):
    try:
        with open(STATE) as f:
            state = json.load(f)
        headers = {"X-Amz-Target": "AWSEvents." + operation, "Sandbox-Key": state.get("sandboxKey", "")}
        request = urllib.request.Request(f"{state.get('orgUrl')}/_sandbox/aws", data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()
    except (OSError, ValueError) as e:
        return 500, json.dumps({"__type": "InternalException", "message": f"the sandbox of the org does not answer: {e}"}).encode()


emulator.app = door
emulator._port_is_bindable = lambda host, port: False  # else it listens on port 443 too where it may

# The emulator makes the keys of a function's role from two names that can be guessed, and serves events to whoever asks at the
# port of a function. Both get what nobody can guess: functions ask below a path, which their runtime takes as part of the address.
NONCE = secrets.token_hex(16)
keys, environment, parse = lambda_runtime.execution_credentials, lambda_svc._provided_worker_env, BaseHTTPRequestHandler.parse_request


def unguessable(config):
    return keys({**config, "FunctionArn": config["FunctionArn"] + ":" + NONCE})


def below(config, directory, port):
    return {**environment(config, directory, port), "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}/{NONCE}"}


def parse_request(self):
    if not parse(self):
        return False
    if self.path.startswith(f"/{NONCE}/"):
        return True
    self.send_error(403)
    return False


lambda_runtime.execution_credentials = lambda_svc.execution_credentials = unguessable
lambda_svc._provided_worker_env = below
BaseHTTPRequestHandler.parse_request = parse_request

# AWS asks for the permission of the single action where a batch of it is called (SQS Developer Guide, "Amazon SQS API permissions");
# the emulator asks for one that no policy can give there.
action_of = iam_actions.extract_iam_action


def single(*request, **named):
    action = action_of(*request, **named)
    return action.removesuffix("Batch") if action and action.startswith("sqs:") else action


iam_actions.extract_iam_action = single

# The emulator takes what these two calls name for a rule; to AWS it is an event source, which has no account in its ARN, or a bus
# (Service Authorization Reference, "Amazon EventBridge").
resource_of = iam_actions.extract_resource_arn


def named(service, method, path, headers, body, params, region, account):
    of = {"AWSEvents.DescribeEventSource": ":event-source/", "AWSEvents.DescribeEventBus": account + ":event-bus/"}
    kind = service == "events" and of.get(headers.get("x-amz-target", ""))
    if kind and (name := iam_actions._safe_json_field(body, "Name")):
        return f"arn:aws:events:{region}:{kind}{name}"
    return resource_of(service, method, path, headers, body, params, region, account)


iam_actions.extract_resource_arn = named

# The emulator does not know the condition key for the keys of items (DynamoDB Developer Guide, "Using IAM policy conditions for
# fine-grained access control"); the table's partition key is pk.
keys_of = iam_actions.dynamodb_service_context


def leading(body):
    context = keys_of(body)
    try:
        asked = json.loads(body)
        context["dynamodb:LeadingKeys"] = [(asked.get("Key") or asked["Item"])["pk"]["S"]]
    except (ValueError, TypeError, KeyError, AttributeError):
        pass  # a request without such a key
    return context


iam_actions.dynamodb_service_context = leading

sys.exit(emulator.main())
