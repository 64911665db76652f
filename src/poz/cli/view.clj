(ns poz.cli.view
  "`poz view`, `poz explore`: a record on a page, as a file or from a server of one's own, and as
  a picture. What they are made with is loaded when one of them runs."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.cli.files :as files]
   [poz.cli.holder :as holder]
   [poz.cli.json :as json]
   [poz.cli.support :as support]
   [poz.format :as format]))

(set! *warn-on-reflection* true)

(defn- assets []
  (update-vals @(requiring-resolve 'poz.view.page/asset-names) #(files/resource (str "poz/page/" %))))

(defn- base-name [file]
  (peek (str/split file #"[/\\]")))

(defn- facts [file with options env]
  (let [all (mapv #(support/read-bytes % env) (cons file with))]
    (or (support/first-anomaly all)
      ((requiring-resolve 'poz.view.page/facts) (first all) (rest all) (support/now options env)))))

(defn- write [out text {:keys [force]} env]
  (support/write-result out (bytes/utf8 text) env {:force force}
    {:exit 0 :out [(str "wrote " out)] :json [{:file out}]}))

;; ## view

(defn- page [file {:keys [out with] :as options} env]
  (holder/attempt-> (facts file with options env)
    #(write out ((requiring-resolve 'poz.view.page/page) (base-name file) % {:assets (assets)}) options env)))

(defn- picture [file {:keys [out with] :as options} env]
  (holder/attempt-> (facts file with options env)
    (fn [found]
      (holder/attempt-> ((requiring-resolve 'poz.view.page/picture) found (assets))
        #(write out % options env)))))

(defn- layout [section {:keys [out] :as options} env]
  (if-let [figure ((requiring-resolve 'poz.view.svg.layout/figure) format/format (keyword section))]
    (write out
      ((requiring-resolve 'poz.view.svg/document)
       ((requiring-resolve 'poz.view.svg/below) (:title figure) 0 16 [figure])
       (:figure (assets)))
      options env)
    (holder/usage "view" "there is no section " section ", there are: "
      (str/join " " (map (comp name :key) format/sections)))))

(defn- view [{[file :as args] :args {:keys [svg] section :layout :as options} :options :keys [env]}]
  (case [(some? section) (count args)]
    [true 0] (layout section options env)
    [false 1] (if svg (picture file options env) (page file options env))
    (holder/usage "view" "give one file, or --layout SECTION and none")))

;; ## explore

(defn- say! [lines stream]
  (files/write-file! "-" (bytes/utf8 (str/join (map #(str % "\n") lines))) stream {}))

(defn- tell! [{:keys [url port]} json? {:keys [stdout]}]
  (say! (if json?
          [(json/line {:event "ready" :url url :port port})]
          [(str "ready " url) "Open that address, and drop records onto the page. Ctrl-C ends it."])
    stdout))

(defn- until-stopped [running {:keys [json]} {:keys [until-told] :as env}]
  (try
    (let [wait! (until-told)]
      (tell! running json env)
      (wait!))
    (finally ((requiring-resolve 'poz.explore/stop) running)))
  {:exit 0 :err ["stopped"] :json [{:event "stopped"}]})

(defn- explore [{names :args {:keys [port] :as options} :options {:keys [random] :as env} :env}]
  (let [contents (mapv #(support/read-bytes % env) names)]
    (or (support/first-anomaly contents)
      (holder/attempt->
        ((requiring-resolve 'poz.explore/start)
         {:port port :token (bytes/->hex (random 16)) :assets (assets) :now #(support/now options env)
          :files (mapv (fn [n b] {:name (base-name n) :bytes b}) names contents)})
        #(until-stopped % options env)))))

(defn- parse-port [s]
  (when (re-matches #"\d{1,5}" s)
    (let [n (parse-long s)] (when (<= (long n) 65535) n))))

(def commands
  "The commands of this namespace."
  [{:name "view" :args "FILE | --layout SECTION" :arity [0 1] :group "Records" :run view
    :summary "write a record as a page or a picture"
    :doc "Writes FILE, a record whole or broken, as one page for a browser, which needs no network: the verdict with every step, every byte beside its meaning, the chain of revisions, who can do what, and what a loss or a theft means. With --svg a picture of the record, with --layout a picture of the bytes of a section. Private sections never get into either."
    :options [support/output-option support/force-option support/time-option
              {:name "with" :arg "FILE" :many true :doc "a provider's record, or another copy of this one"}
              {:name "svg" :doc "a picture of the record instead"}
              {:name "layout" :arg "SECTION" :doc "a picture of the bytes of a section: master-zone …"}]
    :examples ["poz view alice.poz --out alice.html" "poz view alice.poz --svg --out alice.svg"
               "poz view --layout master-zone --out master-zone.svg"]}
   {:name "explore" :args "[FILE]..." :arity [0 nil] :group "Records" :run explore
    :summary "show records that are dropped onto a page"
    :doc "Serves the page of poz view on this machine only, for FILE and for every record that is dropped onto it, until it is told to stop. The first file is shown; other copies of it and records of providers are judged beside it. Prints the address, which nobody else can guess."
    :options [{:name "port" :arg "PORT" :doc "where to listen, 0 for any that is free" :default 0 :parse parse-port}
              support/time-option]
    :examples ["poz explore" "poz explore alice.poz provider.poz"]}])
