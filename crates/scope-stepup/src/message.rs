//! JSON-RPC messages, as far as they say what is asked for.

use core::fmt;
use core::marker::PhantomData;
use std::borrow::Cow;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::UnreadableRequest;

/// What one message asks for: its method and the parameter that `Mcp-Name` repeats.
pub(crate) struct Asked<'a> {
    pub(crate) method: Cow<'a, str>,
    pub(crate) name: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<Object<Params<'a>>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    uri: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "taskId")]
    task_id: Option<Cow<'a, str>>,
}

/// A JSON object. Without it serde takes an array for a struct too, member by member.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// What each message of a body asks for; those that ask for nothing are left out.
pub(crate) fn messages(body: &[u8]) -> Result<Vec<Asked<'_>>, UnreadableRequest> {
    let is_batch = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let messages: Vec<Object<Message<'_>>> = if is_batch {
        serde_json::from_slice(body).map_err(|_| UnreadableRequest::Body)?
    } else {
        vec![serde_json::from_slice(body).map_err(|_| UnreadableRequest::Body)?]
    };
    Ok(messages.into_iter().filter_map(|Object(message)| asked(message)).collect())
}

fn asked(message: Message<'_>) -> Option<Asked<'_>> {
    let method = message.method?;
    let name = message.params.and_then(|Object(params)| match &*method {
        "tools/call" | "prompts/get" => params.name,
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => params.uri,
        "tasks/get" | "tasks/update" | "tasks/cancel" => params.task_id,
        _ => None,
    });
    Some(Asked { method, name })
}
