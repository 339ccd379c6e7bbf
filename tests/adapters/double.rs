//! A server that stands in for a cloud's APIs: it answers what a test says, or keeps objects as the
//! services do, as far as octo asks for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use octo::controller::keystone::login::Scope;
use octo::controller::mask::Mask;
use octo::controller::openstack::Session;
use octo::controller::openstack::session::Account;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// `GET /v2.1/servers`
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

type Handler = dyn Fn(&Asked) -> (u16, Value) + Send + Sync;

/// The server, which ends with the test.
pub struct Double {
    pub url: String,
    pub asked: Arc<Mutex<Vec<Asked>>>,
}

impl Double {
    /// Serves logins by itself, and everything else by a function.
    pub async fn new(handler: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::default();
        let (own, log, handler) = (url.clone(), Arc::clone(&asked), Arc::new(handler) as Arc<Handler>);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, own.clone(), Arc::clone(&log), Arc::clone(&handler)));
            }
        });
        Self { url, asked }
    }

    /// A session of the administrator.
    pub async fn session(&self) -> Session {
        let account = Account {
            url: format!("{}/v3", self.url),
            region: "RegionOne".to_owned(),
            user: "admin".to_owned(),
            password: "a secret".to_owned().into(),
            scope: Scope::ProjectName("admin".to_owned()),
        };
        Session::open(account, Mask::default()).await.unwrap()
    }

    /// The requests so far, without logins.
    pub fn lines(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(Asked::line).filter(|line| !line.contains("/auth/tokens")).collect()
    }

    pub fn logins(&self) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.path == "/v3/auth/tokens").count()
    }
}

async fn serve(stream: TcpStream, url: String, log: Arc<Mutex<Vec<Asked>>>, handler: Arc<Handler>) {
    let mut stream = BufReader::new(stream);
    let Some(asked) = read(&mut stream).await else { return };
    let login = asked.path == "/v3/auth/tokens";
    let number = {
        let mut log = log.lock().unwrap();
        log.push(asked.clone());
        log.iter().filter(|asked| asked.path == "/v3/auth/tokens").count()
    };
    let (status, body) = if login { (201, token(&url)) } else { handler(&asked) };
    let content = match &body {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    };
    let head = format!(
        "HTTP/1.1 {status} Status\r\nX-Subject-Token: token-{number}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    );
    stream.write_all(head.as_bytes()).await.ok();
    stream.write_all(&content).await.ok();
    stream.shutdown().await.ok();
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked { method, path: path.to_owned(), query, headers, body })
}

/// All services at one address.
fn token(url: &str) -> Value {
    let services = [("compute", "nova"), ("image", "glance"), ("network", "neutron"), ("identity", "keystone")];
    let catalog: Vec<Value> = services
        .iter()
        .map(|(kind, name)| {
            let path = if *kind == "identity" { "/v3" } else { "" };
            json!({"type": kind, "name": name, "endpoints": [
                {"interface": "internal", "region_id": "RegionOne", "url": format!("{url}{path}")},
            ]})
        })
        .collect();
    json!({"token": {"user": {"id": "u-admin"}, "project": {"id": "p-admin"}, "catalog": catalog}})
}

/// Objects by collection (`networks`), in the order in which they were made.
#[derive(Default)]
pub struct Store {
    objects: BTreeMap<String, Vec<Value>>,
    made: usize,
}

impl Store {
    /// How many objects there are of a collection.
    pub fn count(&self, collection: &str) -> usize {
        self.objects.get(collection).map_or(0, Vec::len)
    }

    /// Puts an object there.
    pub fn insert(&mut self, collection: &str, mut object: Value) -> Value {
        self.made += 1;
        let named =
            if collection == "os-keypairs" { object["name"].clone() } else { json!(format!("id-{}", self.made)) };
        object["id"] = named;
        for (field, value) in [("project_id", "p-admin"), ("owner", "p-admin"), ("device_id", ""), ("device_owner", "")]
        {
            if object.get(field).is_none() {
                object[field] = json!(value);
            }
        }
        self.objects.entry(collection.to_owned()).or_default().push(object.clone());
        object
    }

    /// Answers as the services would.
    pub fn answer(&mut self, asked: &Asked) -> (u16, Value) {
        let parts: Vec<&str> = asked.path.trim_start_matches('/').split('/').skip(1).collect();
        match (asked.method.as_str(), parts.as_slice()) {
            ("GET", [collection]) | ("GET", [collection, "detail"]) => (200, self.list(collection, &asked.query)),
            ("GET", [collection, id]) => match self.find(collection, id) {
                Some(found) => (200, found.clone()),
                None => (404, json!({"error": {"message": "not found"}})),
            },
            ("POST", [collection]) => (201, self.create(collection, asked.json())),
            ("PUT", ["images", id, "file"]) => {
                let size = asked.body.len();
                if let Some(image) = self.find("images", id) {
                    image["status"] = json!("active");
                    image["size"] = json!(size);
                }
                (204, Value::Null)
            }
            ("PUT", ["routers", router, "add_router_interface"]) => {
                let port = json!({
                    "device_id": router,
                    "device_owner": "network:router_interface",
                    "fixed_ips": [{"subnet_id": asked.json()["subnet_id"], "ip_address": "10.205.0.1"}],
                });
                (200, self.insert("ports", port))
            }
            ("PUT", ["routers", _, "remove_router_interface"]) => {
                let port = asked.json()["port_id"].clone();
                (self.remove("ports", port.as_str().unwrap_or_default()), json!({}))
            }
            ("DELETE", [collection, id]) => (self.remove(collection, id), Value::Null),
            _ => (400, json!({"error": {"message": asked.line()}})),
        }
    }

    fn list(&self, collection: &str, query: &BTreeMap<String, String>) -> Value {
        let fits = |object: &&Value| {
            query.iter().filter(|(field, _)| *field != "limit" && *field != "is_public").all(|(field, wanted)| {
                let found = &object[field];
                found.as_str().map_or_else(|| found.to_string(), str::to_owned) == **wanted
            })
        };
        let found = self.objects.get(collection).into_iter().flatten().filter(fits);
        match collection {
            "os-keypairs" => json!({"keypairs": found.map(|pair| json!({"keypair": pair})).collect::<Vec<_>>()}),
            _ => json!({collection.replace('-', "_"): found.collect::<Vec<_>>()}),
        }
    }

    fn create(&mut self, collection: &str, body: Value) -> Value {
        if collection == "images" {
            let mut image = body;
            image["status"] = json!("queued");
            return self.insert(collection, image);
        }
        let Some((kind, object)) = body.as_object().and_then(|fields| fields.iter().next()) else { return Value::Null };
        let made = self.insert(collection, object.clone());
        if collection == "security-group-rules"
            && let Some(group) = made["security_group_id"].as_str()
            && let Some(group) = self.find("security-groups", group)
            && let Some(rules) = group["security_group_rules"].as_array_mut()
        {
            rules.push(made.clone());
        }
        json!({ kind: made })
    }

    fn find(&mut self, collection: &str, id: &str) -> Option<&mut Value> {
        self.objects.get_mut(collection)?.iter_mut().find(|object| object["id"] == id)
    }

    fn remove(&mut self, collection: &str, id: &str) -> u16 {
        for group in self.objects.get_mut("security-groups").into_iter().flatten() {
            if let Some(rules) = group["security_group_rules"].as_array_mut() {
                rules.retain(|rule| rule["id"] != id);
            }
        }
        let objects = self.objects.entry(collection.to_owned()).or_default();
        let before = objects.len();
        objects.retain(|object| object["id"] != id);
        if objects.len() < before { 204 } else { 404 }
    }
}
