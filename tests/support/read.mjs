// Reads mail by npm's mailparser: `read.mjs FILE`, where the file is a JSON list of paths. Prints a JSON list of what was read
// out of each: subject, sender, text and html.

import { readFileSync } from "node:fs";
import { simpleParser } from "mailparser";

const read = [];
for (const file of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  // What it would make of a mail without a text, or of links in one, is not in the mail.
  const mail = await simpleParser(readFileSync(file), { skipHtmlToText: true, skipTextToHtml: true });
  const [sender] = mail.from.value;
  read.push({ file, subject: mail.subject, sender, text: mail.text ?? null, html: mail.html || null });
}
console.log(JSON.stringify(read));
