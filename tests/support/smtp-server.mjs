// An SMTP server for tests, npm's smtp-server: `smtp-server.mjs FOLDER`. Says `listening PORT` on standard output; ends with
// its input. Each mail that it takes is a file of its recipients, one a line, and after an empty line its bytes.

import { randomUUID } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SMTPServer } from "smtp-server";

const folder = process.argv[2];

function keep(stream, session, done) {
  const pieces = [];
  stream.on("data", (piece) => pieces.push(piece));
  stream.on("end", () => {
    const recipients = session.envelope.rcptTo.map((recipient) => recipient.address + "\n");
    const file = join(folder, randomUUID());
    writeFileSync(file, Buffer.concat([Buffer.from(recipients.join("") + "\n"), ...pieces]));
    renameSync(file, file + ".mail");
    done();
  });
}

const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ["STARTTLS", "AUTH"],
  disableReverseLookup: true,
  onData: keep,
});
server.on("error", (error) => console.error(error.message));
server.listen(0, "127.0.0.1", () => console.log("listening", server.server.address().port));
process.stdin.on("end", () => process.exit()).resume();
