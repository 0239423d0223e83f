//! One client that reads, now all plugins and now one: what it saw once, it must never see undone.

use std::collections::HashMap;

use serde_json::Value;

use crate::client::{Answer, Client, Reply};
use crate::dice::Dice;
use crate::observer::Observer;
use crate::violation::Violation;

pub(crate) struct Reader {
    dice: Dice,
    /// The `unique_id`s of the last list.
    listed: Vec<String>,
    /// The newest revision that any reply bore.
    head: u64,
    /// Of each plugin the newest revision that it was seen at.
    plugins: HashMap<String, u64>,
}

impl Reader {
    pub(crate) fn new(dice: Dice) -> Reader {
        Reader { dice, listed: Vec::new(), head: 0, plugins: HashMap::new() }
    }

    /// Reads until the server is gone.
    ///
    /// # Errors
    /// The first reply that is wrong in itself, or older than one before it.
    pub(crate) async fn run(&mut self, client: &Client, observer: &Observer) -> Result<(), Violation> {
        loop {
            let one = self.dice.pick(&self.listed).cloned();
            let goes_on = match one.filter(|_| self.dice.chance(7, 8)) {
                Some(unique_id) => self.read_one(client, observer, &unique_id).await?,
                None => self.read_list(client, observer).await?,
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    async fn read_list(&mut self, client: &Client, observer: &Observer) -> Result<bool, Violation> {
        let Some(answer) = answer(client.list().await?)? else { return Ok(false) };
        let revision = answer.body.get("revision").and_then(Value::as_u64);
        let items = answer.body.get("items").and_then(Value::as_array);
        let (Some(revision), Some(items), 200) = (revision, items, answer.status) else {
            return Err(Violation::WrongReply(format!("a list: {answer:?}")));
        };
        if answer.body.get("total").and_then(Value::as_u64) != Some(items.len() as u64) {
            return Err(Violation::WrongReply(format!("a total that is not the number of items: {answer:?}")));
        }
        self.saw_head(revision)?;
        items.iter().try_for_each(|item| self.saw_document(item))?;
        observer.read_list(revision, items)?;
        let ids = items.iter().filter_map(|item| item.get("unique_id")?.as_str());
        self.listed = ids.map(str::to_owned).collect();
        Ok(true)
    }

    async fn read_one(&mut self, client: &Client, observer: &Observer, unique_id: &str) -> Result<bool, Violation> {
        let Some(answer) = answer(client.get(unique_id).await?)? else { return Ok(false) };
        self.saw_head(answer.revision)?;
        if answer.status == 200 {
            self.saw_document(&answer.body)?;
            observer.read_document(&answer.body, answer.revision)?;
        }
        Ok(true)
    }

    fn saw_head(&mut self, head: u64) -> Result<(), Violation> {
        if head < self.head {
            return Err(Violation::WentBack(format!("from {} to {head}", self.head)));
        }
        self.head = head;
        Ok(())
    }

    fn saw_document(&mut self, document: &Value) -> Result<(), Violation> {
        let unique_id = document.get("unique_id").and_then(Value::as_str).unwrap_or_default();
        let revision = document.get("revision").and_then(Value::as_u64).unwrap_or_default();
        let newest = self.plugins.entry(unique_id.to_owned()).or_default();
        if revision < *newest {
            return Err(Violation::WentBack(format!("{unique_id} from {newest} to {revision}")));
        }
        *newest = revision;
        Ok(())
    }
}

/// None when the server is gone. A store that cannot write is no reason not to answer a read.
fn answer(reply: Reply) -> Result<Option<Answer>, Violation> {
    match reply {
        Reply::Answer(answer) => Ok(Some(answer)),
        Reply::Broken => Ok(None),
        Reply::Unavailable => Err(Violation::WrongReply("503 to a read".into())),
    }
}
