// The published client for Node, unmodified, through all of the API that it knows and this server has.
// usage: node client.mjs BASE_URL API_KEY
import assert from "node:assert/strict";
import { Resend } from "resend";


const [baseUrl, key] = process.argv.slice(2);
const resend = new Resend(key, { baseUrl });
const mail = { from: "Acme <o@acme.com>", to: "ada@example.com", subject: "hello", text: "It works." };

async function data(call) {
  const { data, error } = await call;
  assert.equal(error, null, JSON.stringify(error));
  return data;
}

async function error(call, statusCode, name) {
  const { data, error } = await call;
  assert.equal(data, null);
  assert.deepEqual([error.statusCode, error.name], [statusCode, name], JSON.stringify(error));
  return error.message;
}

// Sending, with everything that a mail can have.
const { id } = await data(resend.emails.send({
  ...mail,
  to: ["ada@example.com", "Bob <bob@example.com>"],
  cc: "cy@example.com",
  bcc: ["dee@example.com"],
  replyTo: "help@acme.com",
  html: '<img src="cid:logo"><p>It works.</p>',
  headers: { "X-Entity-Ref-ID": "42" },
  tags: [{ name: "category", value: "sdk" }],
  attachments: [
    { filename: "a.txt", content: Buffer.from("from a Buffer") },
    { filename: "b.txt", content: Buffer.from("from base64").toString("base64") },
    { filename: "logo.png", content: Buffer.from([137, 80, 78, 71]), contentId: "logo" },
  ],
}));
const stored = await data(resend.emails.get(id));
assert.equal(stored.object, "email");
assert.deepEqual(stored.to, ["ada@example.com", "Bob <bob@example.com>"]);
assert.deepEqual([stored.cc, stored.bcc, stored.reply_to], [["cy@example.com"], ["dee@example.com"], ["help@acme.com"]]);
assert.deepEqual(stored.tags, [{ name: "category", value: "sdk" }]);

// Attachments.
const files = await data(resend.emails.attachments.list({ emailId: id }));
assert.deepEqual(files.data.map((file) => file.filename), ["a.txt", "b.txt", "logo.png"]);
const file = await data(resend.emails.attachments.get({ emailId: id, id: files.data[0].id }));
assert.equal(file.content_type, "text/plain");
const bytes = await fetch(file.download_url.replace(/^https?:\/\/[^/]+/, baseUrl), { headers: { Authorization: `Bearer ${key}` } });
assert.equal(await bytes.text(), "from a Buffer");

// By a template.
await data(resend.emails.send({
  from: mail.from, to: mail.to,
  template: { id: "notice", variables: { title: "Hello", message: "It works." } },
}));

// Once under a key.
const once = { idempotencyKey: "order-42" };
const first = await data(resend.emails.send(mail, once));
assert.deepEqual(await data(resend.emails.send(mail, once)), first);
await error(resend.emails.send({ ...mail, subject: "other" }, once), 409, "invalid_idempotent_request");

// For later: moved, taken back.
const later = await data(resend.emails.send({ ...mail, scheduledAt: "in 1 hour" }));
assert.equal((await data(resend.emails.get(later.id))).last_event, "scheduled");
const moved = await data(resend.emails.update({ id: later.id, scheduledAt: new Date(Date.now() + 7_200_000).toISOString() }));
assert.deepEqual(moved, { object: "email", id: later.id });
assert.deepEqual(await data(resend.emails.cancel(later.id)), { object: "email", id: later.id });
assert.equal((await data(resend.emails.get(later.id))).last_event, "canceled");

// Many at once.
const batch = await data(resend.batch.send([mail, { ...mail, to: "bob@example.com" }]));
assert.equal(batch.data.length, 2);
const some = await data(resend.batch.send([mail, { ...mail, to: "bob" }], { batchValidation: "permissive" }));
assert.equal(some.data.length, 1);
assert.equal(some.errors[0].index, 1);
await error(resend.batch.send([mail, { ...mail, to: "bob" }]), 422, "validation_error");

// Lists.
const page = await data(resend.emails.list({ limit: 2 }));
assert.deepEqual([page.object, page.has_more, page.data.length], ["list", true, 2]);
const next = await data(resend.emails.list({ limit: 2, after: page.data[1].id }));
assert.ok(next.data[0].id < page.data[1].id);

// Keys.
const made = await data(resend.apiKeys.create({ name: "sdk", permission: "sending_access" }));
assert.match(made.token, /^re_ph_/);
const keys = await data(resend.apiKeys.list());
assert.ok(keys.data.some((listed) => listed.id === made.id && listed.name === "sdk"));
const sender = new Resend(made.token, { baseUrl });
await data(sender.emails.send(mail));
await error(sender.emails.get(id), 401, "restricted_api_key");
await data(resend.apiKeys.remove(made.id));
await error(sender.emails.send(mail), 403, "invalid_api_key");

// Errors, as the client shows them.
assert.equal(await error(resend.emails.send({ ...mail, to: "nobody" }), 422, "validation_error"), "`to`: missing @");
await error(resend.emails.send({ from: mail.from, text: "x", subject: "x" }), 422, "missing_required_field");
await error(resend.emails.send({ ...mail, attachments: [{ path: "https://example.com/a.pdf", filename: "a.pdf" }] }), 422, "invalid_attachment");
await error(resend.emails.send({ ...mail, scheduledAt: "tomorrow at 9am" }), 422, "invalid_parameter");
await error(resend.emails.get("00000000-0000-7000-8000-000000000000"), 404, "not_found");
await error(resend.domains.list(), 404, "not_found");
await error(new Resend("re_wrong", { baseUrl }).emails.send(mail), 403, "invalid_api_key");

console.log("ok");
