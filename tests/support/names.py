"""A name server for tests: `names.py`. Says `listening PORT` on standard output; ends with its input.

In `good.test` there is a mail server on this machine; `null.test` takes no mail (RFC 7505); nothing else exists.
"""

import socket
import sys
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

RECORDS = {
    ("good.test.", "MX"): "10 mail.good.test.",
    ("mail.good.test.", "A"): "127.0.0.1",
    ("null.test.", "MX"): "0 .",
}
SOA = "ns.test. admin.test. 1 60 60 60 60"


def answer(packet):
    asked = dns.message.from_wire(packet)
    question = asked.question[0]
    name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
    told = dns.message.make_response(asked, recursion_available=True)
    told.flags |= dns.flags.AA
    record = RECORDS.get((name, kind))
    if record:
        told.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, record))
    else:
        if all(name != known for known, _ in RECORDS):
            told.set_rcode(dns.rcode.NXDOMAIN)
        told.authority.append(dns.rrset.from_text("test.", 60, "IN", "SOA", SOA))
    return told.to_wire()


def serve(server):
    while True:
        packet, client = server.recvfrom(4096)
        server.sendto(answer(packet), client)


if __name__ == "__main__":
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    print("listening", server.getsockname()[1], flush=True)
    threading.Thread(target=serve, args=[server], daemon=True).start()
    sys.stdin.read()
