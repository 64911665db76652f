(ns user
  "What a REPL starts with (`dev/clj -M:dev`): `(go)` `(stop)` `(reset)` of `dev`, which is loaded
  when one of them is called. `(in-ns 'dev)` afterwards has more at hand.")

(set! *warn-on-reflection* true)

(defn go
  "Starts the world of `dev`: see `dev/go`."
  []
  ((requiring-resolve 'dev/go)))

(defn stop
  "Stops it."
  []
  ((requiring-resolve 'dev/stop)))

(defn reset
  "Stops it, loads what has changed, starts it anew."
  []
  ((requiring-resolve 'dev/reset)))
