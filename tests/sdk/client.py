"""The published client for Python, unmodified, through all of the API that it knows and this server has.

usage: python client.py BASE_URL API_KEY
"""

import datetime
import sys

import resend

resend.api_url, resend.api_key = sys.argv[1:3]
MAIL = {"from": "Acme <o@acme.com>", "to": ["ada@example.com"], "subject": "hello", "text": "It works."}


def refused(call, kind, code, name):
    try:
        call()
    except kind as error:
        assert (error.code, error.error_type) == (code, name), (error.code, error.error_type)
        return error.message
    raise AssertionError(f"not refused with {name}")


# Sending, with everything that a mail can have.
sent = resend.Emails.send({
    **MAIL,
    "html": '<img src="cid:logo">',
    "cc": ["cy@example.com"], "bcc": "dee@example.com", "reply_to": "help@acme.com",
    "headers": {"X-Entity-Ref-ID": "42"}, "tags": [{"name": "category", "value": "sdk"}],
    "attachments": [
        {"filename": "a.txt", "content": list(b"from a list")},
        {"filename": "logo.png", "content": "iVBORw==", "content_id": "logo"},
    ],
})
stored = resend.Emails.get(sent["id"])
assert stored["object"] == "email" and stored["to"] == ["ada@example.com"], stored
assert stored["cc"] == ["cy@example.com"] and stored["last_event"] in ("queued", "delivered"), stored

# Attachments.
files = resend.Emails.Attachments.list(sent["id"])
assert [file["filename"] for file in files["data"]] == ["a.txt", "logo.png"], files
one = resend.Emails.Attachments.get(sent["id"], files["data"][0]["id"])
assert one["size"] == 11 and one["content_type"] == "text/plain", one

# Once under a key.
first = resend.Emails.send(MAIL, {"idempotency_key": "order-43"})
assert resend.Emails.send(MAIL, {"idempotency_key": "order-43"})["id"] == first["id"]
refused(lambda: resend.Emails.send({**MAIL, "subject": "x"}, {"idempotency_key": "order-43"}),
        resend.exceptions.ResendError, 409, "invalid_idempotent_request")

# For later: moved, taken back.
soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).isoformat()
later = resend.Emails.send({**MAIL, "scheduled_at": "in 2 hours"})
assert resend.Emails.update({"id": later["id"], "scheduled_at": soon})["id"] == later["id"]
assert resend.Emails.cancel(later["id"])["id"] == later["id"]
assert resend.Emails.get(later["id"])["last_event"] == "canceled"

# Many at once.
assert len(resend.Batch.send([MAIL, {**MAIL, "to": "bob@example.com"}])["data"]) == 2
some = resend.Batch.send([MAIL, {**MAIL, "to": "bob"}], {"batch_validation": "permissive"})
assert len(some["data"]) == 1 and some["errors"][0]["index"] == 1, some

# Lists.
page = resend.Emails.list({"limit": 2})
assert page["has_more"] and len(page["data"]) == 2, page
after = resend.Emails.list({"limit": 2, "after": page["data"][1]["id"]})
assert after["data"][0]["id"] < page["data"][1]["id"]

# Keys.
made = resend.ApiKeys.create({"name": "sdk", "permission": "sending_access"})
assert made["token"].startswith("re_ph_"), made
resend.ApiKeys.update({"id": made["id"], "name": "renamed"})
keys = resend.ApiKeys.list()
assert any(key["id"] == made["id"] and key["name"] == "renamed" for key in keys["data"]), keys
full, resend.api_key = resend.api_key, made["token"]
resend.Emails.send(MAIL)
refused(lambda: resend.Emails.get(sent["id"]), resend.exceptions.ResendError, 401, "restricted_api_key")
resend.api_key = full
resend.ApiKeys.remove(made["id"])

# Errors: each as the class that the client makes of it.
known = resend.exceptions
message = refused(lambda: resend.Emails.send({**MAIL, "to": "nobody"}), known.ValidationError, 422, "validation_error")
assert message == "`to`: missing @", message
refused(lambda: resend.Emails.send({"from": "o@acme.com", "text": "x"}),
        known.MissingRequiredFieldsError, 422, "missing_required_field")
refused(lambda: resend.Emails.get("00000000-0000-7000-8000-000000000000"), known.ResendError, 404, "not_found")
resend.api_key = "re_wrong"
refused(lambda: resend.Emails.send(MAIL), known.InvalidApiKeyError, 403, "invalid_api_key")

print("ok")
