(ns poz.rulebook
  "Every rule and every warning, by what it judges, in the order in which they are asked:
  one list for `poz rules`, the README and whoever wants to know."
  (:require
   [poz.auth :as auth]
   [poz.error :as error]
   [poz.identity :as identity]
   [poz.identity.issue :as issue]
   [poz.lint :as lint]
   [poz.master.chain :as chain]
   [poz.update :as update]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def chapters
  "`[{:title :rules [{:id :doc}]}]`."
  [{:title "A master revision" :rules chain/revision-rules}
   {:title "An authority" :rules zone/authority-rules}
   {:title "A grant" :rules zone/grant-rules}
   {:title "A deny" :rules zone/deny-rules}
   {:title "An identity entry" :rules identity/entry-rules}
   {:title "A grant that replaces a zone" :rules update/grant-rules}
   {:title "A deny onto a zone" :rules update/deny-rules}
   {:title "A request for a handle" :rules issue/request-rules}
   {:title "A login" :rules auth/login-rules}
   {:title "Warnings" :rules lint/table}])

(defn markdown
  "The rules as Markdown tables."
  []
  (apply str
    (for [{:keys [title rules]} chapters]
      (apply str "**" title "**\n\n| rule | |\n|---|---|\n"
        (concat (for [{:keys [id doc]} rules] (str "| `" (error/code id) "` | " doc " |\n"))
          ["\n"])))))
