(ns reload
  "Loads anew what has changed of the namespaces that are loaded, and what requires it: `changed!`,
  after `watch!` has taken note of how the files are. What is not loaded stays so: some of it wants
  libraries that are not on the class path."
  (:require
   [clojure.tools.namespace.dir :as dir]
   [clojure.tools.namespace.reload :as reload]
   [clojure.tools.namespace.track :as track]))

(set! *warn-on-reflection* true)

(defonce ^:private tracker (atom nil))

(defn- scanned [tracker]
  (dir/scan-dirs (or tracker (track/tracker)) ["src" "dev"]))

(defn watch!
  "Takes the files for loaded as they are now, unless they are watched already."
  []
  (swap! tracker #(or % (assoc (scanned nil) ::track/load () ::track/unload ()))))

(defn- loaded-only [tracker]
  (-> tracker
    (update ::track/load #(doall (filter find-ns %)))
    (update ::track/unload #(doall (filter find-ns %)))))

(defn changed!
  "The names of the namespaces that were loaded anew. Throws what loading one of them throws; the
  next call tries again."
  []
  (let [found (loaded-only (scanned @tracker))
        {::reload/keys [error] :as done} (reload/track-reload found)]
    (reset! tracker done)
    (when error (throw error))
    (::track/load found)))
