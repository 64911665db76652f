(ns poz.cli.convert
  "`poz public`, `armor`, `dearmor`: the same record in another dress."
  (:require
   [poz.bytes :as bytes]
   [poz.cli.support :as support]
   [poz.error :as error]
   [poz.record :as record]))

(set! *warn-on-reflection* true)

(defn- convert
  "A command's `:run`: reads a file, gives `f` of its bytes to `--out`."
  [f private]
  (fn [{[file] :args {:keys [out force]} :options :keys [env]}]
    (let [b (support/read-bytes file env)
          made (if (error/anomaly? b) b (f b))]
      (if (error/anomaly? made)
        made
        (support/write-result out made env {:force force :private (private made)}
          {:exit 0 :json (when-not (= "-" out) [{:file out :bytes (count made)}])})))))

(defn- well-formed [b]
  (let [r (record/parse b)]
    (if (error/anomaly? r) r b)))

(defn- public [b]
  (let [r (record/parse b)]
    (if (error/anomaly? r) r (record/encode (record/public-view r)))))

(defn- armor [b]
  (let [file (record/dearmor b)
        ok (if (error/anomaly? file) file (well-formed file))]
    (if (error/anomaly? ok) ok (bytes/utf8 (record/armor file)))))

(defn- dearmor [b]
  (let [file (record/dearmor b)]
    (if (error/anomaly? file) file (well-formed file))))

(defn- holds-secrets [b]
  (let [r (record/parse b)]
    (and (not (error/anomaly? r)) (not (record/public? r)))))

(def ^:private options [support/output-option support/force-option])

(def commands
  "The commands of this namespace."
  [{:name "public" :args "FILE" :arity [1 1] :group "Records" :options options
    :run (convert public (constantly false))
    :summary "write what may be published"
    :doc "Writes the public view of a record: known public sections and history, without unused keys. Secrets and key names stay behind."
    :examples ["poz public alice.poz --out alice-public.poz"]}
   {:name "armor" :args "FILE" :arity [1 1] :group "Records" :options options
    :run (convert armor holds-secrets)
    :summary "write the text form, for mail and chat"
    :doc "Writes a record in its text form, for mail and chat."
    :examples ["poz public alice.poz | poz armor - > alice.txt"]}
   {:name "dearmor" :args "FILE" :arity [1 1] :group "Records" :options options
    :run (convert dearmor holds-secrets)
    :summary "write the binary form"
    :doc "Writes the binary form of the one record that a text holds; text around it is ignored."
    :examples ["poz dearmor mail.txt --out alice.poz"]}])
