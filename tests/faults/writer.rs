//! One client that writes: it registers, re-registers, replaces PIDs and deletes, one request after the other.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::client::{Answer, Client, Reply};
use crate::content::{Content, registration, three_pids};
use crate::dice::Dice;
use crate::observer::Observer;
use crate::violation::Violation;

/// The category of all plugins under load, and so the first part of their `unique_id`.
pub(crate) const CATEGORY: &str = "load";
/// How many plugins each writer has to itself.
const OWN: u64 = 5;
/// How many plugins all writers fight over.
const SHARED: u64 = 3;

pub(crate) struct Writer {
    number: u64,
    dice: Dice,
    /// The own plugins that surely stand, with the revision of the last acknowledged change.
    standing: BTreeMap<String, u64>,
    /// The newest revision that any reply bore: a later write must get a higher one.
    head: u64,
}

impl Writer {
    pub(crate) fn new(number: u64, dice: Dice) -> Writer {
        Writer { number, dice, standing: BTreeMap::new(), head: 0 }
    }

    /// Writes until the server is gone.
    ///
    /// # Errors
    /// The first reply that is wrong in itself, or contradicts what was seen before.
    pub(crate) async fn run(&mut self, client: &Client, observer: &Observer) -> Result<(), Violation> {
        loop {
            let name = format!("own-{}-{}", self.number, self.dice.below(OWN));
            let stands = self.standing.contains_key(&name);
            let goes_on = match self.dice.below(10) {
                0..4 if stands => self.put_pids(client, observer, name).await?,
                4 if stands => self.delete(client, observer, name).await?,
                5 => {
                    let shared = format!("shared-{}", self.dice.below(SHARED));
                    self.register(client, observer, &shared).await?.is_some()
                }
                _ => self.register_own(client, observer, name).await?,
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    async fn register_own(&mut self, client: &Client, observer: &Observer, name: String) -> Result<bool, Violation> {
        // Whether it stands is open until the reply is here, and for good if none comes.
        self.standing.remove(&name);
        let registered = self.register(client, observer, &name).await?;
        if let Some(Some(revision)) = registered {
            self.standing.insert(name, revision);
        }
        Ok(registered.is_some())
    }

    /// None when the server is gone, `Some(None)` when it refused for now.
    async fn register(
        &mut self,
        client: &Client,
        observer: &Observer,
        name: &str,
    ) -> Result<Option<Option<u64>>, Violation> {
        let number = observer.number();
        let token = format!("token-{number}");
        // Mostly small, so that a store with many changes stays quick to examine; some need overflow pages.
        let repeats = if self.dice.chance(1, 20) { 800 } else { 8 };
        let mut body = registration(CATEGORY, name, &token, repeats);
        let pids = three_pids(number);
        let names_pids = self.dice.chance(1, 2);
        if names_pids {
            body["spawned_pids"] = pids.clone().into();
        }
        match client.register(&body).await? {
            Reply::Broken => Ok(None),
            Reply::Unavailable => {
                observer.saw_refusal();
                Ok(Some(None))
            }
            Reply::Answer(answer) => {
                let (revision, content) = self.acknowledged(&answer, name, observer)?;
                if content.token != token || (names_pids && content.pids != pids) {
                    return Err(Violation::WrongReply(format!("{token} with {pids:?} was answered by {content:?}")));
                }
                Ok(Some(Some(revision)))
            }
        }
    }

    async fn put_pids(&mut self, client: &Client, observer: &Observer, name: String) -> Result<bool, Violation> {
        let pids = three_pids(observer.number());
        match client.put_pids(&unique_id(&name), &pids).await? {
            Reply::Broken => return Ok(false),
            Reply::Unavailable => observer.saw_refusal(),
            Reply::Answer(answer) => {
                let (revision, content) = self.acknowledged(&answer, &name, observer)?;
                if content.pids != pids {
                    return Err(Violation::WrongReply(format!("{pids:?} were answered by {content:?}")));
                }
                self.standing.insert(name, revision);
            }
        }
        Ok(true)
    }

    async fn delete(&mut self, client: &Client, observer: &Observer, name: String) -> Result<bool, Violation> {
        let after = self.standing.remove(&name).unwrap_or_default();
        match client.delete(&unique_id(&name)).await? {
            Reply::Broken => return Ok(false),
            Reply::Unavailable => observer.saw_refusal(),
            Reply::Answer(answer) if answer.status == 204 => {
                observer.removed(&unique_id(&name), after, answer.revision)?;
                self.saw_head(answer.revision)?;
            }
            Reply::Answer(answer) => return Err(Violation::Lost(format!("{name}, of {after}, on DELETE: {answer:?}"))),
        }
        Ok(true)
    }

    /// Takes the reply to a write; returns its revision and content.
    fn acknowledged(&mut self, answer: &Answer, name: &str, observer: &Observer) -> Result<(u64, Content), Violation> {
        if answer.status == 404 {
            return Err(Violation::Lost(format!("{name}, which was acknowledged, is unknown")));
        }
        let content = Content::of(&answer.body).map_err(Violation::Half)?;
        let revision = answer.body.get("revision").and_then(Value::as_u64).unwrap_or_default();
        if answer.body.get("unique_id").and_then(Value::as_str) != Some(&unique_id(name)) {
            return Err(Violation::WrongReply(format!("{name} was answered by {}", answer.body)));
        }
        if revision <= self.head {
            return Err(Violation::Twice(format!("a new write is {revision}, but {} was seen before", self.head)));
        }
        observer.wrote_document(&answer.body, answer.revision)?;
        self.saw_head(answer.revision)?;
        Ok((revision, content))
    }

    fn saw_head(&mut self, head: u64) -> Result<(), Violation> {
        if head < self.head {
            return Err(Violation::WentBack(format!("from {} to {head}", self.head)));
        }
        self.head = head;
        Ok(())
    }
}

/// The `unique_id` of the plugin `name` under load.
pub(crate) fn unique_id(name: &str) -> String {
    format!("{CATEGORY}_{name}")
}
