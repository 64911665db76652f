(ns poz.system.dns
  "What a domain's owner puts into DNS so that clients find the server (protocol.md §6), as
  lines of a zone file."
  (:require
   [poz.bytes :as bytes]))

(set! *warn-on-reflection* true)

(defn- srv [service domain port hostname]
  (str service "." domain ". IN SRV 0 0 " port " " hostname "."))

(defn txt
  "The text that names the record with the original hash `hash`."
  [hash]
  (str "v=poz1 h=" (bytes/->hex hash)))

(defn lines
  "The lines for `domain`: where its servers are, and which record is its own."
  [domain hostname {:keys [plain query submit]} hash]
  (cond-> []
    (or query plain) (conj (srv "_poz._tcp" domain (or query plain) hostname))
    submit (conj (srv "_poz-submit._tcp" domain submit hostname))
    true (conj (str "_poz." domain ". IN TXT \"" (txt hash) "\""))))
