"""Reads mail as other people's programs do: `verify.py FOLDER`.

In the folder lie `records.json`, the TXT records of the DNS by name, and `expected.json`, a list of {"file": path of a mail,
"from", "subject", "text", "html": what was put in, a part of null where anything may stand, "headers": that must be there,
"signatures": how many}. Printed is one JSON document: "problems", which should be none, and "read", what was read out of
each mail.

Each mail must parse without a defect, keep to the length of lines, say what was put in, and carry signatures that dkimpy
verifies; of every tenth mail five forgeries are made, none of which may verify.
"""

import email
import email.policy
import json
import pathlib
import sys

import dkim

# RFC 5322 section 2.1.1, without the line end.
MAX_LINE = 998


class Reader:
    def __init__(self, folder):
        self.records = json.loads((folder / "records.json").read_text())
        self.expected = json.loads((folder / "expected.json").read_text())
        self.problems = []
        self.read = []

    def run(self):
        for number, expected in enumerate(self.expected):
            self.file = expected["file"]
            raw = pathlib.Path(self.file).read_bytes()
            try:
                self.compare(raw, expected)
                self.verify(raw, expected["signatures"])
                if number % 10 == 0 and expected["signatures"]:
                    self.forge(raw)
            except Exception as error:
                self.problem(repr(error))

    def problem(self, text):
        self.problems.append(f"{self.file}: {text}")

    def same(self, what, found, wanted):
        if found != wanted:
            self.problem(f"{what} is {found!r} and not {wanted!r}")

    def compare(self, raw, expected):
        if max(len(line) for line in raw.split(b"\r\n")) > MAX_LINE:
            self.problem("a line is too long")
        message = email.message_from_bytes(raw, policy=email.policy.strict)
        for name, value in message.items():
            for defect in value.defects:
                self.problem(f"{name}: {defect!r}")
        parts = {"text/plain": None, "text/html": None}
        for part in message.walk():
            for defect in part.defects:
                self.problem(repr(defect))
            if not part.is_multipart():
                parts[part.get_content_type()] = lines(part.get_content())
        found = {
            "file": self.file,
            "subject": message["Subject"],
            "text": parts.pop("text/plain"),
            "html": parts.pop("text/html"),
        }
        self.read.append(found)
        self.same("other parts", parts, {})
        self.same("subject", found["subject"], expected["subject"])
        for part in ("text", "html"):
            if expected[part] is not None:
                self.same(part, found[part], lines(expected[part]))
        # Not the name: Python keeps the blank between two encoded words of it, which no reader may (RFC 2047 section 6.2).
        self.same("sender", message["From"].addresses[0].addr_spec, expected["from"])
        for name, value in expected["headers"].items():
            self.same(name, message[name], value)

    def verify(self, raw, signatures):
        message = dkim.DKIM(raw, minkey=2048)
        found = sum(name.lower() == b"dkim-signature" for name, _ in message.headers)
        self.same("number of signatures", found, signatures)
        for index in range(found):
            if not message.verify(idx=index, dnsfunc=self.txt):
                self.problem(f"signature {index} is not valid")

    def forge(self, raw):
        head, body = raw.split(b"\r\n\r\n", 1)
        at = raw.index(b"\r\nFrom: ") + 2
        forgeries = {
            "body": head + b"\r\n\r\n" + b"x" + body,
            "end of body": raw + b"x\r\n",
            "subject": raw.replace(b"\r\nSubject: ", b"\r\nSubject: x", 1),
            "recipient": raw.replace(b"\r\nTo: ", b"\r\nTo: eve@example.net, ", 1),
            "second sender": raw[:at] + b"From: eve@example.net\r\n" + raw[at:],
        }
        for way in (b"\r\nList-Unsubscribe: <", b"\r\nList-Unsubscribe-Post: L"):
            if way in raw:
                forgeries[way.decode().strip()] = raw.replace(way, way + b"x", 1)
        for what, forgery in forgeries.items():
            message = dkim.DKIM(forgery, minkey=2048)
            for index in (0, 1):
                try:
                    valid = message.verify(idx=index, dnsfunc=self.txt)
                except dkim.DKIMException:
                    valid = False
                if forgery == raw or valid:
                    self.problem(f"signature {index} stands over another {what}")

    def txt(self, name, timeout=5):
        """The record, from the DNS as it would be."""
        record = self.records.get(name.decode().rstrip("."))
        return record and record.encode()


def lines(text):
    """One form of line ends, and none at the end: what stands alone in a mail ends with one."""
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")


if __name__ == "__main__":
    reader = Reader(pathlib.Path(sys.argv[1]))
    reader.run()
    json.dump({"problems": reader.problems, "read": reader.read}, sys.stdout)
