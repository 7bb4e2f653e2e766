"""An SMTP server for tests: `sink.py PORT FOLDER`. Says `listening PORT` on standard output; ends with its input.

It takes every mail, unless `script.json` in the folder says otherwise: by stage ("recipient", "dot", "taken") and recipient
("*" for all that are not named), a list of answers {"reply": text or null to close the connection, "after": seconds}
used in turn, the last one repeated. The file is read at each command, so a test may change it at any time.

In the folder it leaves `history.jsonl`, a line for each copy it took, written before the 250 goes out; the mails, one
file each; and `wire.bin`, all that clients sent.
"""

import asyncio
import collections
import email
import hashlib
import json
import pathlib
import sys
import uuid

from aiosmtpd.smtp import SMTP


class Sink:
    def __init__(self, folder):
        self.folder = folder
        self.asked = collections.Counter()

    async def answer(self, server, stage, recipient, usual):
        """The scripted reply, or the usual one."""
        try:
            script = json.loads((self.folder / "script.json").read_text())
        except FileNotFoundError:
            return usual
        answers = script.get(stage, {}).get(recipient) or script.get(stage, {}).get("*")
        if not answers:
            return usual
        turn = self.asked[stage, recipient]
        self.asked[stage, recipient] += 1
        answer = answers[min(turn, len(answers) - 1)]
        await asyncio.sleep(answer["after"])
        if answer["reply"] is None:
            server.transport.abort()
            raise ConnectionResetError("hung up as the script says")
        return answer["reply"]

    async def handle_RCPT(self, server, session, envelope, address, options):
        reply = await self.answer(server, "recipient", address, "250 2.1.5 ok")
        if reply.startswith("2"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server, session, envelope):
        for recipient in envelope.rcpt_tos:
            reply = await self.answer(server, "dot", recipient, None)
            if reply and not reply.startswith("2"):
                return reply
        self.keep(envelope)
        reply = "250 2.0.0 ok"
        for recipient in envelope.rcpt_tos:
            reply = await self.answer(server, "taken", recipient, reply)
        return reply

    def keep(self, envelope):
        body = envelope.original_content
        name = f"{uuid.uuid4()}.eml"
        (self.folder / name).write_bytes(body)
        with (self.folder / "history.jsonl").open("a") as history:
            for recipient in envelope.rcpt_tos:
                line = {
                    "message_id": str(email.message_from_bytes(body)["Message-ID"]),
                    "recipient": recipient,
                    "sha256": hashlib.sha256(body).hexdigest(),
                    "sender": envelope.mail_from,
                    "file": name,
                }
                history.write(json.dumps(line) + "\n")


class Tapped(SMTP):
    """An SMTP session that writes down what it is sent."""

    wire = None

    def data_received(self, data):
        self.wire.write(data)
        super().data_received(data)


async def main(port, folder):
    Tapped.wire = (folder / "wire.bin").open("ab", buffering=0)
    sink = Sink(folder)
    loop = asyncio.get_running_loop()

    def session():
        return Tapped(sink, hostname="sink.test", ident="sink", enable_SMTPUTF8=True, loop=loop)

    server = await loop.create_server(session, "127.0.0.1", port)
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), pathlib.Path(sys.argv[2])))
