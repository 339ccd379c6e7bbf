//! What HAProxy tells in its statistics.

/// The server of a backend that has the most connections in this moment, if any has one.
pub fn busiest(statistics: &str, backend: &str) -> Option<String> {
    let mut lines = statistics.lines();
    let header: Vec<&str> = lines.next()?.trim_start_matches("# ").split(',').collect();
    let column = |wanted: &str| header.iter().position(|name| *name == wanted);
    let (place, server, connections) = (column("pxname")?, column("svname")?, column("scur")?);
    let rows = lines.map(|line| line.split(',').collect::<Vec<_>>());
    let servers = rows.filter_map(|row| {
        let own = *row.get(place)? == backend && !["FRONTEND", "BACKEND"].contains(row.get(server)?);
        let count: u32 = row.get(connections)?.parse().ok()?;
        (own && count > 0).then(|| (count, row[server].to_owned()))
    });
    servers.max().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATISTICS: &str = "\
# pxname,svname,qcur,qmax,scur,smax,slim
mariadb-server,FRONTEND,,,9,9,4000
mariadb-server,pair-mariadb-server.ctl1,0,0,2,9,
mariadb-server,pair-mariadb-server.ctl2,0,0,7,9,
mariadb-server,BACKEND,0,0,9,9,400
keystone-api,pair-keystone-api.ctl1,0,0,20,30,
memcached-server,pair-memcached-server.ctl1,0,0,0,1,

";

    #[test]
    fn the_server_with_the_most_connections_is_the_busiest() {
        assert_eq!(busiest(STATISTICS, "mariadb-server").as_deref(), Some("pair-mariadb-server.ctl2"));
        assert_eq!(busiest(STATISTICS, "keystone-api").as_deref(), Some("pair-keystone-api.ctl1"));
    }

    #[test]
    fn where_nobody_is_connected_none_is() {
        assert_eq!(busiest(STATISTICS, "memcached-server"), None);
        assert_eq!(busiest(STATISTICS, "unknown"), None);
        assert_eq!(busiest("", "mariadb-server"), None);
    }
}
