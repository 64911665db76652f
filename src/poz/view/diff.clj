(ns poz.view.diff
  "What differs between two records (`poz.diff`), in words: a line for each change behind a
  mark, `+` came, `-` went, `~` changed, `!` a security event, which is named in words too.
  Pure: lines come out, nothing is printed."
  (:require
   [clojure.string :as str]
   [poz.error :as error]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

(def option-rows
  "The options of `lines`."
  (select-keys text/option-rows [:color :width]))

(def ^:private part-titles
  "The first part of a change's path → the heading under which it is told."
  {:chain "chain" :public-key-map "keys" :master-zone "master zone"
   :identity "identity zone" :feed "feed zone" :email "email zone" :auth "auth zone" :service "service zone"})

(defn- heading [{[part] :path}]
  (part-titles part "sections"))

(defn- mark [{:keys [security before after]}]
  (cond security ["!" :bad] (nil? before) ["+" :good] (nil? after) ["-" :doubt] :else ["~" nil]))

(defn- change-lines [{:keys [width color]} {:keys [change message security] :as c}]
  (let [[sign style] (mark c)
        sentence (str (when security "SECURITY: ") (text/escape message) " [" (error/code change) "]")
        [one & more] (text/hang sentence (- (long width) 6) 0 0)]
    (cons (str "    " (text/paint color style sign) " " one)
      (map #(str "      " %) more))))

(defn- body [{:keys [color] :as options} changes]
  (mapcat (fn [title]
            (cons (str "  " (text/paint color :title title))
              (mapcat #(change-lines options %) (filter #(= title (heading %)) changes))))
    (distinct (map heading changes))))

(defn- summary [changes]
  (let [n (count changes) events (count (filter :security changes))]
    (str n (if (= 1 n) " difference" " differences")
      (when (pos? events) (str ", SECURITY EVENTS: " events)))))

(defn lines
  "The lines that tell `diff`, what `poz.diff/diff` gave of two records which their reader
  knows as `before` and `after`. Options: see `option-rows`."
  ([before after diff] (lines before after diff {}))
  ([before after {:keys [same changes message] :as diff} given]
   (let [{:keys [width] :as options} (text/options option-rows given)
         title (str/join " → " (map text/escape [before after]))
         headed (fn [words] (text/hang (str title ": " words) width 0 2))]
     (if-let [error (:poz/error diff)]
       (concat (headed "no two records")
         (text/hang (str (text/escape message) " [" (error/code error) "]") width 2 2))
       (concat (headed (if same "the same" (summary changes)))
         (body options changes))))))
