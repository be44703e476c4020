"""Flows of CumulusCI against the org sandbox: one line of JSON for each, its result or its error.

Its tasks for the first Bulk API and its Snowfakery are not installed: they need packages that have no wheels.
"""
import base64
import io
import json
import logging
import os
import zipfile

os.environ["REQUESTS_CA_BUNDLE"] = os.environ["ORG_CA"]

from cumulusci.core.config import OrgConfig  # noqa: E402
from cumulusci.oauth.salesforce import jwt_session  # noqa: E402
from cumulusci.salesforce_api.metadata import ApiDeploy  # noqa: E402
from cumulusci.salesforce_api.rest_deploy import RestDeploy  # noqa: E402
from cumulusci.utils.salesforce.count_sobjects import count_sobjects  # noqa: E402

BASE = os.environ["ORG_URL"]
CREDENTIALS = json.loads(os.environ["ORG_CREDENTIALS"])
said = []  # by CumulusCI to its user
log = logging.getLogger("flows")
log.setLevel(logging.INFO)
log.propagate = False
log.addHandler(type("Keep", (logging.Handler,), {"emit": lambda _, record: said.append(record.getMessage())})())


def flow(name, do):
    try:
        line = {"flow": name, "result": do()}
    except Exception as e:  # whatever CumulusCI makes of it
        line = {"flow": name, "error": type(e).__name__ + ": " + str(e)}
    print(json.dumps(line, default=str), flush=True)
    return line.get("result")


def login(**change):
    how = {"client_id": CREDENTIALS["consumerKey"], "private_key": CREDENTIALS["privateKey"], "username": CREDENTIALS["username"]} | change
    return jwt_session(how["client_id"], how["private_key"], how["username"], url=BASE, auth_url=BASE)


class Task:
    logger = log


def package():
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as z:
        z.writestr("package.xml", "<Package/>")
        z.writestr("eventRelays/Changes.eventRelay", "<EventRelayConfig/>")
    return base64.b64encode(whole.getvalue()).decode()


session = login()
flow("jwt", lambda: {"keys": sorted(session), "instance": session["instance_url"] == BASE, "type": session["token_type"]})
flow("jwt of a stranger", lambda: login(username="nobody@sfrelay.example"))
flow("jwt of another app", lambda: login(client_id="another"))

org = OrgConfig({"instance_url": BASE, "access_token": session["access_token"], "id": session["id"], "connected_app": None}, "sandbox")
task = Task()
task.org_config = org
task.project_config = Task()
task.project_config.project__package__api_version = "66.0"

flow("newest version", lambda: org.latest_api_version)
flow("org id", lambda: org.org_id)
flow("user id", lambda: org.user_id)
flow("userinfo", lambda: (org._load_userinfo(), org.config["userinfo"]["organization_id"])[1])
flow("organization", lambda: (org._load_orginfo(), [org.config["org_type"], org.config["is_sandbox"], org.config["instance_name"], org.config["namespace"]])[1])
flow("expires", lambda: (org.populate_expiration_date(), org.config["expires"])[1])
flow("person accounts", lambda: org.is_person_accounts_enabled)
flow("many currencies", lambda: org.is_multiple_currencies_enabled)
flow("counts by composite", lambda: count_sobjects(org.salesforce_client, ["Account", "Opportunity"]).counts)
flow("count of what is no object", lambda: [[e["httpStatusCode"], e["body"][0]["errorCode"]] for e in count_sobjects(org.salesforce_client, ["Nope__c"]).salesforce_errors])
flow("deploy by REST", lambda: (RestDeploy(task, package(), False, False, "NoTestRun", [])(), said[-1])[1])
flow("deploy by SOAP", lambda: str(ApiDeploy(task, package(), False)()))
