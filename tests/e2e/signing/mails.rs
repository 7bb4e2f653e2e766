//! Mails of every kind that a submitter may give, drawn from a seed.

use serde_json::{Value, json};

/// What `verify.py` is told of a mail, beside its file and its signatures.
pub(crate) struct Drawn {
    /// The body of the submit.
    pub(crate) submit: Value,
    /// What must be read out of the mail.
    pub(crate) expected: Value,
}

const SENDERS: &[(&str, &str)] = &[
    ("", "app@example.com"),
    ("Büro", "app@news.example.com"),
    ("Doe, Jane (\"J\")", "a.b+c@example.com"),
    ("Élise 你好 🚀", "x@deep.mail.example.com"),
    (
        "A name that is so long that its line has to be folded, which is where a signature may break",
        "app@example.com",
    ),
    ("Nobody's", "app@example.org"),
];

const WORDS: &[&str] = &[
    "Hello",
    "order",
    "42",
    "a",
    "Grüße",
    "你好",
    "🚀",
    "=?utf-8?q?x?=",
    "=20",
    "x=",
    "--",
    ".",
    "..",
    "From",
    "<b>",
    "&amp;",
    "\t",
    "  ",
    "\u{a0}",
    "e\u{301}",
    "שלום",
    "https://example.com/a/very/long/path?with=a&query=that&never=ends#x",
];

/// What people write, in some languages.
const ORDINARY: &[&str] = &[
    "Your order 1042 has been shipped and will arrive on Tuesday.",
    "Ihre Bestellung ist unterwegs; die Rechnung finden Sie in Ihrem Konto.",
    "Здравствуйте, спасибо за ваше сообщение, мы ответим завтра.",
    "Please confirm your address: https://app.example.com/confirm",
    "Grüße aus der Küche, und bis bald.",
    "The meeting was moved to room 12, at half past nine.",
    "Votre réservation est confirmée pour deux personnes.",
    "If you have questions, reply to this mail and somebody will read it.",
];

/// Lines that have broken mail somewhere: dots, boundaries, blanks at the end, odd line ends, and very long ones.
const LINES: &[&str] = &[
    "",
    "",
    " ",
    ".",
    "..",
    ".\r\n.",
    "From here on",
    ">From",
    "--",
    "--=_0199a5f0",
    "trailing   ",
    "\ttab\t",
    "a  b \t c",
    "one\rtwo",
    "three\r\nfour",
    "DKIM-Signature: v=1",
    "Subject: not a header",
    "=",
    "=\n",
    "é",
    "\u{2028}",
];

/// Draws from a seed (`SplitMix64`): the same mails in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let sides = u64::try_from(sides).expect("a die has few sides");
        usize::try_from((mixed ^ (mixed >> 31)) % sides).expect("below a usize")
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn words(&mut self, most: usize) -> String {
        let count = 1 + self.below(most);
        let words: Vec<&str> = (0..count).map(|_| self.of(WORDS)).collect();
        words.join(" ")
    }

    /// A header's text as it is kept: without blanks around it, and never empty.
    fn subject(&mut self) -> String {
        let words = match self.below(8) {
            0 => "x".repeat(1 + self.below(900)),
            1 => "é".repeat(1 + self.below(400)),
            2 => self.words(60).chars().take(200).collect(),
            _ => self.words(8),
        };
        format!("s{words}.").replace('\t', " ")
    }

    fn body(&mut self) -> String {
        let mut body = String::new();
        for _ in 0..self.below(12) {
            match self.below(10) {
                0 => body.push_str(&"x".repeat(self.below(3000))),
                1 => body.push_str(&"ü🚀".repeat(self.below(600))),
                2 | 3 => body.push_str(self.of(LINES)),
                _ => body.push_str(&self.words(20)),
            }
            body.push_str(self.of(&["\n", "\n", "\r\n", "\r", ""]));
        }
        body.push_str(self.of(&["", "", "\n", "\n\n\n", "\r\n \r\n\t\r\n", "end"]));
        body
    }

    /// Anything but nothing, which is no mail.
    fn some_body(&mut self) -> String {
        let body = self.body();
        if body.is_empty() {
            "\n".to_owned()
        } else {
            body
        }
    }

    /// One mail to `to`.
    pub(crate) fn mail(&mut self, to: &str) -> Drawn {
        let (name, address) = self.of(SENDERS);
        let subject = self.subject();
        let mut submit = json!({
            "from": { "name": name, "email": address },
            "to": [{ "name": self.of(&["", "Ada", "Ünal, Ö."]), "email": to }],
            "subject": subject,
        });
        let mut expected = json!({ "from": address, "name": name, "subject": subject, "text": null, "html": null });
        match self.below(5) {
            0 => {
                let (title, message) = (self.words(5), self.words(30));
                submit["template"] =
                    json!({ "id": "notice", "variables": { "title": title, "message": message } });
            }
            1 => put(&mut submit, &mut expected, "text", &self.some_body()),
            2 => put(&mut submit, &mut expected, "html", &self.some_body()),
            _ => {
                put(&mut submit, &mut expected, "html", &self.some_body());
                put(&mut submit, &mut expected, "text", &self.some_body());
            }
        }
        if self.one_in(3) {
            submit["cc"] =
                json!(["cc@example.net", { "name": "Ümit", "email": "cc2@example.net" }]);
        }
        if self.one_in(3) {
            submit["reply_to"] = json!("Help <help@example.com>");
        }
        let headers = self.headers();
        submit["headers"] = headers.clone();
        expected["headers"] = headers;
        Drawn { submit, expected }
    }

    /// One mail to `to` as people write them: whatever is wrong with its form is ours.
    pub(crate) fn ordinary(&mut self, to: &str) -> Drawn {
        let mut drawn = self.mail(to);
        let lines: Vec<_> = (0..3 + self.below(4)).map(|_| self.of(ORDINARY)).collect();
        let subject = self.of(ORDINARY);
        let submit = drawn.submit.as_object_mut().expect("an object");
        for content in ["subject", "text", "html", "template"] {
            submit.remove(content);
        }
        submit["headers"]
            .as_object_mut()
            .expect("an object")
            .remove("X-Note");
        if self.one_in(3) {
            let variables = json!({ "title": subject, "message": lines.join(" ") });
            submit.insert(
                "template".into(),
                json!({ "id": "notice", "variables": variables }),
            );
            return drawn;
        }
        submit.insert("subject".into(), json!(subject));
        submit.insert("text".into(), json!(lines.join("\n\n")));
        if self.one_in(2) {
            let html = format!("<html><body><p>{}</p></body></html>", lines.join("</p><p>"));
            submit.insert("html".into(), json!(html));
        }
        drawn
    }

    fn headers(&mut self) -> Value {
        let mut headers = json!({});
        if self.one_in(2) {
            let url = format!(
                "<https://example.com/u?t={}>",
                "a1,-".repeat(self.below(180))
            );
            headers["List-Unsubscribe"] = match self.below(2) {
                0 => json!(url),
                _ => json!(format!("<mailto:out@example.com?subject=u>, {url}")),
            };
            headers["List-Unsubscribe-Post"] = json!("List-Unsubscribe=One-Click");
        }
        if self.one_in(4) {
            headers["X-Note"] = json!(format!("n{}.", self.words(12).replace('\t', " ")));
        }
        headers
    }
}

fn put(submit: &mut Value, expected: &mut Value, part: &str, body: &str) {
    expected[part] = json!(body);
    submit[part] = json!(body);
}
