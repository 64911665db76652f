(ns poz.layers-test
  "Who may require whom, who may touch the world, and what every file of the sources has."
  (:require
   [clojure.java.io :as io]
   [clojure.set :as set]
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]])
  (:import
   (java.io File PushbackReader)))

(set! *warn-on-reflection* true)

(def ^:private layers
  "The layers from the bottom up, each with its namespaces; `poz.x.*` are all below `poz.x`.
  A namespace requires its own layer or an earlier one. A new namespace is added here."
  [["values" '[poz.bytes poz.error]]
   ["codec" '[poz.codec poz.codec.*]]
   ["record" '[poz.format poz.format.* poz.record poz.record.* poz.address]]
   ["crypto" '[poz.crypto poz.crypto.* poz.rules poz.time poz.signing poz.keyring poz.noise poz.noise.*]]
   ["authority" '[poz.master poz.master.* poz.proof poz.zone poz.zone.* poz.identity poz.identity.* poz.verify poz.lint
                  poz.pattern poz.simulate poz.rulebook poz.update poz.activation poz.auth poz.mail poz.feed poz.service
                  poz.memory poz.fork poz.past poz.policy poz.diff
                  poz.gen poz.damage poz.damage.*]]
   ["store" '[poz.store poz.store.*]]
   ["net" '[poz.wire poz.wire.* poz.pow poz.authority poz.authority.* poz.net poz.net.* poz.client poz.client.*
            poz.mirror poz.mirror.* poz.discover poz.discover.* poz.kit poz.kit.*]]
   ["app" '[poz.system poz.system.* poz.launch poz.main poz.cli.* poz.view.* poz.nav poz.nav.* poz.tap poz.explore poz.ring poz.api poz.kit.program]]])

(def ^:private may-touch
  "What a namespace needs to have effects, and the namespaces (or files of data) that may."
  {#"\bSecureRandom\b" '#{poz.crypto poz.crypto.bouncy-castle} ; the second a fixed one, for a test vector's rnd
   #"currentTimeMillis|nanoTime|Instant/now|Clock/system" '#{poz.main poz.system poz.client.attempt poz.client.lookup poz.discover poz.net.pipeline poz.system.metrics poz.kit.program} ; the last six: how long it has been
   #"java\.io\b(?!\.Writer| Writer)|\(java\.io [^W]|java\.nio\.file|clojure\.java\.io|\b(?:slurp|spit)\b" '#{poz.main poz.cli.files poz.api poz.store.sqlite poz.kit.program poz.system.http poz.client.pins
                                                                                                             poz.discover.dns poz.discover.https} ; the last two streams of bytes only
   #"java\.net\b|java\.nio\.channels\.Socket" '#{poz.net.client poz.net.pipeline poz.net.server poz.discover.dns poz.discover.https poz.explore poz.system.http}
   #"com\.sun\.net" '#{poz.explore poz.system.http}
   #"org\.xbill" '#{poz.discover.dns}
   #"io\.netty" '#{poz.net.channel poz.net.client poz.net.epoll poz.net.pipeline poz.net.server poz.net.sweep poz.net.transport}
   #"System/(?:getenv|getProperty|exit|in|out|err)\b" '#{poz.launch poz.main poz.crypto}
   #"\((?:println|prn|print|printf|pprint|newline)[ )]" '#{}})

;; The sources

(defn- forms [^File file]
  (with-open [in (PushbackReader. (io/reader file))]
    (binding [*read-eval* false
              *data-readers* {'poz/hex identity}
              *default-data-reader-fn* (fn [_ v] v)
              *reader-resolver* (reify clojure.lang.LispReader$Resolver
                                  (currentNS [_] 'poz.layers-test)
                                  (resolveClass [_ s] s)
                                  (resolveAlias [_ s] s)
                                  (resolveVar [_ s] s))]
      (into [] (take-while #(not= ::end %)) (repeatedly #(read {:eof ::end :read-cond :allow} in))))))

(defn- requires [ns-form]
  (set (for [clause ns-form :when (and (seq? clause) (= :require (first clause)))
             spec (rest clause)]
         (if (vector? spec) (first spec) spec))))

(defn- code
  "The text of a file without its comments, docstrings' prose included."
  [text]
  (str/join "\n" (map #(str/replace % #"^\s*;.*" "") (str/split-lines text))))

(def ^:private sources
  (delay
    (vec (for [^File f (sort (file-seq (io/file "src"))) :when (str/ends-with? (.getName f) ".clj")
               :let [forms (forms f) text (slurp f)]]
           {:file (str f) :forms forms :ns (second (first forms)) :text text
            :requires (requires (first forms)) :lines (count (str/split-lines text))}))))

(defn- covers? [pattern ns]
  (let [p (str pattern) n (str ns)]
    (if (str/ends-with? p ".*") (str/starts-with? n (subs p 0 (dec (count p)))) (= p n))))

(defn- layer-of
  "The index of the layer of `ns`, by the most exact of the patterns that cover it."
  [ns]
  (->> (for [[i [_ patterns]] (map-indexed vector layers), p patterns :when (covers? p ns)] [(count (str p)) i])
    sort last second))

;; Layers

(deftest the-table-works
  (are [ns layer] (= layer (layer-of ns))
    'poz.bytes 0, 'poz.codec.read 1, 'poz.record.text 2, 'poz.crypto.sha3 3, 'poz.master.chain 4
    'poz.cli.files 7, 'poz.nope nil, 'poz.recorder nil)
  (is (< 40 (count @sources))))

(deftest every-namespace-is-in-the-table
  (is (= [] (remove layer-of (map :ns @sources)))))

(deftest nobody-requires-a-later-layer
  (doseq [{:keys [ns requires]} @sources
          required requires :when (str/starts-with? (str required) "poz.")]
    (is (layer-of required) (str ns " requires " required ", which has no layer"))
    (is (<= (or (layer-of required) 0) (or (layer-of ns) 0)) (str ns " requires " required))))

(defn- loaded-late
  "The names of vars that `(requiring-resolve 'name)` among `forms` loads when it runs."
  [forms]
  (for [form (tree-seq coll? seq forms)
        :when (and (seq? form) (= 'requiring-resolve (first form)))
        :let [[quoted sym] (when (seq? (second form)) (second form))]
        :when (= 'quote quoted)]
    sym))

(defn- defines? [{:keys [forms]} name]
  (boolean (some #(and (contains? '#{def defn} (first %)) (= name (second %))) forms)))

(deftest what-is-loaded-late-is-there
  (is (= '[poz.a/b] (loaded-late '[(defn f [x] ((requiring-resolve 'poz.a/b) (requiring-resolve x)))])))
  (let [by-ns (into {} (map (juxt :ns identity)) @sources)]
    (doseq [{:keys [ns forms]} @sources, late (loaded-late forms)
            :let [there (by-ns (symbol (namespace late)))]]
      (is (and there (defines? there (symbol (name late)))) (str ns " loads " late))
      (is (<= (or (layer-of (:ns there)) 0) (layer-of ns)) (str ns " loads " late)))))

(deftest nobody-requires-in-a-circle
  (let [graph (into {} (map (juxt :ns :requires)) @sources)]
    (loop [left graph]
      (let [free (into #{} (keep (fn [[ns rs]] (when (empty? (set/intersection rs (set (keys left)))) ns))) left)]
        (if (empty? free)
          (is (= {} left))
          (recur (apply dissoc left free)))))))

(deftest the-format-is-data
  (doseq [{:keys [ns requires]} @sources :when (covers? 'poz.format.* (str ns "."))]
    (is (= #{} (into #{} (remove #(str/starts-with? (str %) "poz.format")) (filter #(str/starts-with? (str %) "poz.") requires)))
        ns))
  (testing "it has no function in it"
    (is (not-any? fn? (tree-seq coll? seq @(requiring-resolve 'poz.format/format))))))

(deftest the-codec-knows-no-format
  (doseq [{:keys [ns text]} @sources :when (= 1 (layer-of ns))]
    (is (not (re-find #"public-key-map|master-zone" (code text))) ns)))

;; Effects

(deftest effects-have-their-places
  (doseq [[pattern allowed] may-touch
          {:keys [ns text]} @sources :when (not (allowed ns))]
    (is (nil? (re-find pattern (code text))) (str ns " touches " pattern))))

(deftest nothing-happens-at-load
  (doseq [{:keys [ns forms]} @sources, form (rest forms)]
    (is (contains? '#{def defn defn- defmacro defmulti defmethod deftype defrecord defprotocol definterface
                      declare set! comment extend-protocol extend-type extend}
                   (first form))
        (str ns " does " (pr-str (first form))))))

;; Every file

(deftest every-file-warns-of-reflection
  (doseq [{:keys [ns forms]} @sources]
    (is (= '(set! *warn-on-reflection* true) (second forms)) ns)))

(deftest every-namespace-has-a-docstring
  (doseq [{:keys [ns forms]} @sources :let [doc (nth (first forms) 2 nil)]]
    (is (and (string? doc) (re-find #"^[A-Z`]" doc) (re-find #"[.:)]" doc)) ns)))

(defn- public-without-doc
  "The names of the public vars that the form defines without saying what they are."
  [form]
  (let [[kind name & more] form]
    (when (and (contains? '#{def defn defmacro defmulti} kind)
            (not (:private (meta name))))
      (when-not (or (:doc (meta name)) (and (string? (first more)) (or (not= 'def kind) (next more))))
        name))))

(deftest every-public-var-has-a-docstring
  (is (= '[a b] (keep public-without-doc '[(defn a [x] x) (def b "no doc, a value") (defn c "Doc." [])
                                           (def ^:private d 1) (defn- e []) (def f "Doc." 1)])))
  (doseq [{:keys [ns forms]} @sources]
    (is (= [] (keep public-without-doc forms)) ns)))

(deftest no-namespace-is-long
  (doseq [{:keys [ns lines]} @sources]
    (is (<= lines 350) ns)))
