(ns poz.integration.page-test
  "Pages of records in a real browser, headless Chromium driven by Playwright (playwright-core of
  npm, in the folder that POZ_BROWSER names): dropped, looked at, walked by keyboard, toggled.

  The browser runs once, by page_browser.js beside this file, which tells what it found."
  (:require
   [clojure.data.json :as json]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing use-fixtures]]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.explore :as explore]
   [poz.record :as record]
   [poz.samples :as samples]
   [poz.shown :as shown]
   [poz.simulate :as simulate]
   [poz.simulate-test :as simulate-test]
   [poz.verify :as verify]
   [poz.view.page :as page]
   [poz.view.page.powers :as powers])
  (:import
   (java.util List)
   (java.util.concurrent TimeUnit)))

(set! *warn-on-reflection* true)

(def ^:private patience "Seconds that the browser gets." 300)

;; What the browser is given

(def ^:private files
  "The pages in files, and what they are of."
  {:valid shown/all-zones
   :recovery (delay (shown/golden "recovery-3"))
   :hybrid (delay (shown/golden "hybrid"))
   :draft (delay (shown/golden "draft"))
   :shared (delay (shown/golden "genesis-shared"))})

(def ^:private records
  "Made-up records and drafts, and keys that somebody holds, to ask the script about."
  (delay (samples/sample simulate-test/case-gen 200)))

(defn- powers-of [record]
  (:powers (powers/data record (simulate/simulate record {:limit 1}))))

(defn- base64 [b] (bytes/->base64 b))

(def ^:private large "One MiB of services." (delay (shown/entries 12000)))

(defn- config [url at]
  {:playwright (str (or (System/getenv "POZ_BROWSER") (at "nowhere")) "/node_modules/playwright-core")
   :chromium "/usr/bin/chromium" :profile (at "profile") :url url
   :files (into {} (map (fn [[k b]]
                          [k (cli/write! (at (str (name k) ".html"))
                               (page/page (str (name k) ".poz") (page/facts @b [] shown/now) {:assets (shown/assets)}))]))
            files)
   :samples (update-vals {:valid @shown/all-zones :provider @shown/provider :broken @shown/broken
                          :fork (first @shown/fork) :copy (second @shown/fork) :entries (shown/entries 200)
                          :hostile @shown/hostile :holder @shown/holder :empty bytes/empty :large @large}
              base64)
   :cases (for [[record {:keys [stolen]}] @records] [(powers-of record) (sort stolen)])})

(defn- run-browser [config-file]
  (let [p (.start (ProcessBuilder. ^List (vector "node" "test/poz/integration/page_browser.js" config-file)))
        out (future (slurp (.getInputStream p))) err (future (slurp (.getErrorStream p)))]
    (when-not (.waitFor p patience TimeUnit/SECONDS)
      (run! #(.destroyForcibly ^java.lang.ProcessHandle %) (cons (.toHandle p) (iterator-seq (.iterator (.descendants p))))))
    (when-not (zero? (.exitValue (doto p .waitFor)))
      (throw (ex-info (str "The browser failed: " @err) {})))
    (json/read-str @out :key-fn keyword)))

(def ^:private found (atom nil))

(defn- with-browser [tests]
  (when-not (.exists (io/file (str (System/getenv "POZ_BROWSER")) "node_modules" "playwright-core"))
    (throw (ex-info "The tests of pages need playwright-core of npm in the folder that POZ_BROWSER names: npm install --prefix \"$POZ_BROWSER\" playwright-core" {})))
  (let [server (explore/start {:port 0 :token "token" :assets (shown/assets) :now (constantly shown/now)})]
    (try
      (cli/with-folder
        (fn [at]
          (reset! found (assoc (run-browser (cli/write! (at "config.json") (json/write-str (config (:url server) at))))
                          :url (:url server)))))
      (finally (explore/stop server))))
  (tests))

(use-fixtures :once with-browser)

(defn- looked [sample] (get-in @found [:looks sample]))

;; What it found

(deftest nothing-goes-wrong
  (is (= [] (:errors @found)) "no error, no word on the console, no violation of the policy, no dialog")
  (is (= [] (remove #(or (str/starts-with? % (:url @found)) (str/starts-with? % "file:///")) (:requests @found)))
    "no request but to the server"))

(deftest each-record-is-shown
  (is (= "A POZ record, on a page" (:empty @found)))
  (doseq [[sample outcome] {:valid "✓valid" :broken "✕malformed" :fork "✓valid" :entries "✓valid" :hostile "✓valid" :holder "✓valid" :large "✓valid"}]
    (is (= (str (name sample) ".poz") (:title (looked sample))))
    (is (= outcome (:outcome (looked sample))) sample)
    (is (< 4 (:rows (looked sample))) sample)
    (is (:wide (looked sample)) "nothing sticks out"))
  (is (= ["✕malformed" []] ((juxt :outcome :figures) (looked :empty))))
  (is (some #{"3 handles of this record, by provider"} (:figures (looked :valid))))
  (is (some #{"Chain of 3 revisions, with a fork"} (:figures (looked :fork))))
  (is (str/includes? (first (:alerts (looked :fork))) "A fork")))

(deftest hostile-names-are-text
  (is (false? (:hidden (looked :hostile))))
  (is (= 3 (:foreign (looked :hostile)) (:foreign (looked :entries))) "the page's scripts and no other"))

(deftest a-broken-byte-says-where-and-why
  (is (= ["00" "21"] (get-in @found [:fault :bytes])))
  (is (str/includes? (get-in @found [:fault :row]) "exact length, found 33"))
  (is (some #(str/includes? % "at offset 133") (:alerts (looked :broken)))))

(deftest either-side-lights-the-other-up
  (let [{:keys [bytes said row folded inside after]} (:hover @found)]
    (is (= "00 00 0c 34" bytes))
    (is (str/includes? said "Header › size"))
    (is (= "size" row))
    (is (str/starts-with? inside (str "Service Zone › " folded " › ")) "where that is folded, what it is in")
    (is (= "" after) "and goes out again")))

(deftest the-keyboard-is-enough
  (let [{:keys [reached walked inHex bytes active expanded]} (:keys @found)]
    (is reached)
    (is (= ["Header" "magic" "version" "Header" "Header" "Table of contents" "Header" "Header" "magic"] (take 9 walked)))
    (is (= "Header" (last walked)))
    (is (= "hex" inHex))
    (is (= ["version" "size"] (take 2 bytes)) "field by field")
    (is (= "magic" (nth bytes 3)))
    (is active)
    (is (pos? (long expanded)))))

(deftest toggles-by-keyboard
  (let [[first-said lost you stolen thief] (:toggles @found)]
    (is (= "Nothing is lost, nothing is stolen." first-said))
    (is (= "Everything is still possible." lost))
    (is (= "Everything is still possible. The thief can change the master zone, and so controls the record." stolen))
    (is (= "● yes" you thief))))

(deftest the-simulator-agrees-for-every-key-and-pair
  (doseq [[k b] files :let [record (record/parse @b)]]
    (testing k
      (is (seq (get-in @found [:pairs k])))
      (doseq [{:keys [keys you thief outcome]} (get-in @found [:pairs k])]
        (let [{:keys [powers findings] told :thief} (simulate/simulate record {:without (set keys) :stolen (set keys)})]
          (is (= (map :possible powers) you) keys)
          (is (= (map (comp boolean (set (:can told)) :power) powers) thief) keys)
          (is (= (boolean (and (some #(= :master/locked (:finding %)) findings)
                            (:possible (some #(when (= [:master :change] (:power %)) %) (:powers (simulate/simulate record))))))
                 (str/includes? outcome "locked for ever")) keys))))))

(deftest the-script-agrees-on-made-up-records
  (is (= 200 (count (:cases @found))))
  (doseq [[[record {:keys [stolen]}] answers] (map vector @records (:cases @found))]
    (is (= (map #(simulate/can? % stolen)
             (let [by-power (into {} (map (juxt :power identity)) (simulate/powers record))]
               (map (comp by-power :power) (:powers (simulate/simulate record {:limit 1})))))
           answers))))

(deftest light-and-dark-can-be-read
  (is (< (get-in @found [:dark :paper]) 0.1 0.8 (get-in @found [:light :paper])))
  (doseq [scheme [:light :dark] [what contrast] (get-in @found [scheme :contrasts])]
    (is (<= 4.5 contrast) (str (name scheme) " " what))))

(deftest a-phone-and-paper
  (is (:wide (:narrow @found)))
  (is (= 196 (:print @found)) "all rows are there to be printed"))

(deftest without-a-script-the-rest-is-there
  (let [{:keys [steps dump bytes figures]} (:still @found)]
    (is (= steps (count (verify/steps (verify/verify (record/parse @shown/all-zones) {:now shown/now})))))
    (is (str/includes? dump "0000  50 4f 5a"))
    (is (false? bytes))
    (is (= 3 figures))))

(deftest a-mebibyte-is-drawn-where-it-is-looked-at
  (is (< (* 1024 1024) (count @large)))
  (is (< (:drawn (looked :large)) 3000))
  (is (str/includes? (:last (looked :large)) "Service Zone"))
  (is (< (:ms (looked :large)) 60000) "2 s on a machine that does nothing else"))
