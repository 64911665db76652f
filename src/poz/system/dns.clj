(ns poz.system.dns
  "What a domain's owner puts into DNS so that clients find the server (protocol.md §6), as
  lines of a zone file."
  (:require
   [poz.bytes :as bytes]))

(set! *warn-on-reflection* true)

(defn- line [owner domain ttl & words]
  (apply str owner "." domain ". " (when ttl (str ttl " ")) "IN " words))

(defn- srv [service domain ttl {:keys [host port priority weight] :or {priority 0 weight 0}}]
  (line service domain ttl "SRV " priority " " weight " " port " " host "."))

(defn txt
  "The text that names the record with the original hash `hash`."
  [hash]
  (str "v=poz1 h=" (bytes/->hex hash)))

(defn zone-lines
  "The lines for `domain`: the servers `:query` and `:submit`, each `{:host :port :priority :weight}`,
  and which record is its own. `ttl` is in seconds, nil for the zone's own."
  [domain {:keys [query submit]} hash ttl]
  (concat
    (map #(srv "_poz._tcp" domain ttl %) query)
    (map #(srv "_poz-submit._tcp" domain ttl %) submit)
    [(line "_poz" domain ttl "TXT \"" (txt hash) "\"")]))

(defn servers
  "`{:query :submit}` of a server at `hostname` that listens on `ports`."
  [hostname {:keys [plain query submit]}]
  (letfn [(at [port] (when port [{:host hostname :port port}]))]
    {:query (at (or query plain)) :submit (at submit)}))

(defn lines
  "The lines for `domain` of a server at `hostname` that listens on `ports`."
  [domain hostname ports hash]
  (zone-lines domain (servers hostname ports) hash nil))
